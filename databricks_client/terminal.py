"""Output that is safe to read: control characters written as escapes, always UTF-8, a reader that left is no error.

All that this project prints goes through here: by `emit` and `emit_json`, the log's formatter, `cutover`'s console.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

# C0 except tab and line ends, a carriage return that ends no line (it moves the cursor over what stands there), DEL,
# C1 (terminals take U+009B for ESC [), what changes the direction of writing, other line ends, lone surrogates.
_UNPRINTABLE = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
)
_CONTROL = re.compile(rf"[{_UNPRINTABLE}]|\r(?!\n)")
_CONTROL_OR_LINE_END = re.compile(rf"[{_UNPRINTABLE}\r\n]")


def printable(text: str) -> str:
    r"""The text with control characters written as Python writes them (`\x1b`, `\u202e`); line ends and tabs stay."""
    return _CONTROL.sub(_escape, text)


def one_line(text: str) -> str:
    r"""As `printable`, on one line: line ends are written as `\n` and `\r`, so that a value cannot pose as a line."""
    return _CONTROL_OR_LINE_END.sub(_escape, text)


def json_text(value: Any, indent: int | None = None) -> str:
    """The value as JSON that reads back as it was and holds no character that a terminal or UTF-8 objects to."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def emit(text: str, *, error: bool = False) -> None:
    """Prints the text, with one line end, to standard output (error: to standard error), and flushes."""
    stream = _in_utf8(sys.stderr if error else sys.stdout)
    try:
        stream.write(printable(text if text.endswith("\n") else text + "\n"))
        stream.flush()
    except BrokenPipeError:
        discard(stream)


def emit_json(value: Any, indent: int | None = None) -> None:
    """Prints a JSON value to standard output."""
    emit(json_text(value, indent))


def _in_utf8(stream: IO[str]) -> IO[str]:
    """The stream, made to write UTF-8 whatever the environment says; one that is no text file stays as it is."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream.writable() else "surrogateescape")
    return stream


def discard(stream: IO[str]) -> None:
    """Sends what is still written to a stream nowhere: its reader has left, which changes no result."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


@contextmanager
def safe_output() -> Iterator[None]:
    """For the whole of a command: standard streams in UTF-8 whatever the environment says, no error of a closed pipe.

    Names, values and SQL may hold any character; a locale that cannot write one must not change a command's result.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        _in_utf8(stream)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                discard(stream)


class PrintableFormatter(logging.Formatter):
    """A log record on one line, whatever its message holds; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return one_line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to_stderr(level: int | str, form: str) -> None:
    """Sends the log of this process to standard error. level, form: as `logging` takes them."""
    handler = logging.StreamHandler(_in_utf8(sys.stderr))
    handler.setFormatter(PrintableFormatter(form))
    logging.basicConfig(level=level, handlers=[handler])
