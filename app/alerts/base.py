"""What every channel has in common."""

from __future__ import annotations

SECONDS = 10.0
"""How long a receiver may take to answer."""


class NotTaken(Exception):
    """The receiver did not take an alert; the text says why, without a secret. retry_after: seconds it asked for."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after
