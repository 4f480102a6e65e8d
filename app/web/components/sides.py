"""The two sides: the same name and colour everywhere."""

from __future__ import annotations

BASELINE = "#D55E00"
CANDIDATE = "#0072B2"
NEUTRAL = "#7A858F"

COLOURS: dict[str, str] = {"baseline": BASELINE, "candidate": CANDIDATE, "development": NEUTRAL}
NAMES: dict[str, str] = {"baseline": "old", "candidate": "new", "development": "development"}
SHAPES: dict[str, str] = {"baseline": "square", "candidate": "circle", "development": "diamond"}


def name(side: object) -> str:
    """`baseline` as `old side`, `candidate` as `new side`; anything else in its own word."""
    word = NAMES.get(str(side))
    return f"{word} side" if word in ("old", "new") else (word or str(side))


def colour(side: object) -> str:
    return COLOURS.get(str(side), NEUTRAL)
