"""Pairs of identifiers that are one name to Spark, and pairs that are two."""

from __future__ import annotations

ONE_NAME = [
    ("ID", "id"),
    ("GRÖSSE", "grösse"),
    ("MAẞE", "maße"),
    ("\u212aelvin", "kelvin"),  # The sign of the unit Kelvin.
    ("\u2126", "ω"),  # The sign of the unit Ohm.
    ("İ", "i\u0307"),
    ("ΟΔΟΣ", "οδος"),
    ("ΟΔΟΣ_ID", "οδοσ_id"),  # The underscore does not end Java's word.
    ("ΟΔΟΣ ID", "οδος id"),
    ("ΟΔΟΣ1", "οδος1"),
    ("Σ", "σ"),
    ("ǅ", "ǆ"),
]
TWO_NAMES = [
    ("masse", "maße"),
    ("STRASSE", "straße"),
    ("s", "ſ"),
    ("ŉ", "ʼn"),
    ("ﬁx", "fix"),
    ("ς", "σ"),
    ("ΟΔΟΣ", "οδοσ"),
    ("ΟΔΟΣ_ID", "οδος_id"),
    ("µ", "μ"),  # The sign for millionth and the Greek letter.
    ("i", "ı"),
    ("I", "İ"),
    ("ͅ", "ι"),
    ("\u2c2f", "\u2c5f"),  # Letters of Unicode 14, which Java 17 does not know.
    ("é", "e\u0301"),
]
