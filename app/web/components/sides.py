"""Names, colours and marker shapes of the sides, the same on every page."""

from __future__ import annotations

BASELINE = "#D55E00"
CANDIDATE = "#0072B2"
NEUTRAL = "#7A858F"

COLOURS: dict[str, str] = {"baseline": BASELINE, "candidate": CANDIDATE, "development": NEUTRAL}
NAMES: dict[str, str] = {"baseline": "old", "candidate": "new", "development": "development"}
SHAPES: dict[str, str] = {"baseline": "square", "candidate": "circle", "development": "diamond"}


def name(side: object) -> str:
    """`old side` for `baseline`, `new side` for `candidate`; any other side keeps its name."""
    word = NAMES.get(str(side))
    return f"{word} side" if word in ("old", "new") else (word or str(side))


def colour(side: object) -> str:
    return COLOURS.get(str(side), NEUTRAL)
