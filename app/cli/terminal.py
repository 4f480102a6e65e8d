"""The console of `cutover`: Rich's tables and wrapping, every text displayed as the characters that it holds."""

from __future__ import annotations

import sys
from datetime import UTC
from typing import Any

from rich.console import Console
from rich.text import Text

from app.moments import in_zone
from databricks_client.terminal import discard, one_line, printable


class Terminal(Console):
    """Rich's console without its small language: no markup, no links, no emoji codes, no highlighting.

    Control characters are written as escapes before anything is laid out, so that neither an audit reason nor the plan
    that is read before a confirmation can move the cursor, hide text or reach the clipboard.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        stream = sys.stderr if stderr else sys.stdout
        # In a pipe or file there is no width to fit.
        width = None if stderr or stream.isatty() else 180
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text as Rich draws it, its times in UTC; all texts pass here, of tables, titles and lines."""
        return super().render_str(in_zone(printable(text), UTC), **options)

    def say(self, text: str) -> None:
        """Prints one line, whatever the text holds; the terminal wraps it, so that it can be copied whole."""
        self.print(one_line(text), soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """A reader that left changes no result: what follows is written nowhere."""
        discard(self.file)
