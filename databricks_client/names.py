"""When two names are the same to Spark: names of columns, tables, schemas and catalogs are equal in lower case.

Spark lower-cases by Java's `String.toLowerCase(Locale.ROOT)` where it looks a column up and where it refuses two
columns of one name. Unicode's case folding is coarser: `ß` folds to `ss`, `ſ` to `s`, `ς` to `σ`, so that of two
columns one would never be compared. Python's `str.lower` is Java's but for two things:

- A capital sigma becomes `ς` at the end of a word, else `σ`. Java takes the words of `BreakIterator`, in which letters,
  digits and underscores hold together; Python takes those of Unicode's chapter 3.13.
- Java 17, which runs Spark 4, knows the letters of Unicode 13, Python those of its own version.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

_SIGMA = "Σ"

_YOUNGER = (
    (0x2C2F, 0x2C2F),
    (0xA7C0, 0xA7C0),
    (0xA7CB, 0xA7CC),
    (0xA7D0, 0xA7D0),
    (0xA7D6, 0xA7DC),
    (0x10570, 0x10595),
    (0x10D50, 0x10D65),
)
"""Capital letters that came after Unicode 13, from the first to the last: they stay as they are."""


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """`name` in Spark's lower case: two names are the same to Spark exactly where these are equal."""
    lower = "".join(char if _is_younger(char) else char.lower() for char in name)
    if _SIGMA not in name:
        return lower
    words = _words(name)
    return "".join(
        folded(char) if char != _SIGMA else "ς" if _is_final(name, at, words) else "σ" for at, char in enumerate(name)
    )


def folded_path(dotted: str) -> str:
    """A name of several parts, each folded by itself: a word may go on behind a dot. No part holds a dot."""
    return ".".join(folded(part) for part in dotted.split("."))


def same_name(a: str, b: str) -> bool:
    """Whether Spark takes `a` and `b` for one name."""
    return folded(a) == folded(b)


def all_folded(names: Iterable[str]) -> set[str]:
    """The names in Spark's lower case."""
    return {folded(name) for name in names}


def named_alike(names: Sequence[str]) -> tuple[str, str] | None:
    """Two of `names` between which Spark cannot choose as fields of a struct, None if there are none.

    Fields are looked up by Java's `equalsIgnoreCase`, which is coarser: of `s` and `ſ`, which one struct may hold both,
    Spark reads neither.
    """
    seen: dict[str, str] = {}
    for name in names:
        key = "".join(_one_case(char) for char in name)
        if key in seen:
            return seen[key], name
        seen[key] = name
    return None


def _one_case(char: str) -> str:
    """`Character.toLowerCase(Character.toUpperCase(char))`, which map one character to one."""
    upper = char.upper()
    if len(upper) != 1 or _is_younger(upper):
        upper = char
    return "i" if upper == "İ" else char if _is_younger(upper) else upper.lower()


def _is_younger(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _YOUNGER)


# `BreakIteratorRules` of the JDK: each character is a kind, and a word is the longest run that one of the rules takes.
_KINDS_OF = {
    **dict.fromkeys("।॥", "a"),
    **dict.fromkeys("\"'", "q"),
    ".": ".",
    **dict.fromkeys(",\u066b", ","),
    "\u2027": "m",
    "#": "$",
    **dict.fromkeys("%&¢\u066a\u2030\u2031", "%"),
    **dict.fromkeys("\n\f\u2028\u2029", "l"),
    "\r": "r",
    "\t": "s",
    "\u3005": "k",
    **dict.fromkeys("\u30fd\u30fe", "K"),
    **dict.fromkeys("\u309d\u309e", "h"),
    **dict.fromkeys("\u3099\u309a", "D"),
    **dict.fromkeys("\u309b\u309c\u30fb\u30fc", "d"),
}
_KINDS_FROM = ((0x4E00, 0x9FA5, "k"), (0xF900, 0xFA2D, "k"), (0x30A1, 0x30FA, "K"), (0x3041, 0x3094, "h"))
_KINDS_BY_CATEGORY = {"Mn": "e", "Me": "e", "Mc": "L", "Pd": "m", "Pc": "m", "Sc": "$", "Zs": "s", "Cf": "i"}
_LETTERS, _DIGITS = "(?:L[eD]*)+", "(?:N[eD]*)+"
_WORD = f"{_LETTERS}(?:[mq.]{_LETTERS})*a?"
_NUMBER = f"{_DIGITS}(?:[q.,]{_DIGITS})*"
_RUN = f"(?:{_NUMBER}{_WORD})*(?:{_NUMBER}%?)?"
_RULES = [
    re.compile(rule)
    for rule in (
        f"(?:{_WORD})?{_RUN}",
        f"[$.]{_RUN}",
        "(?:s[eD]*)*r?l?",
        "[KdD]*",
        "[hdD]*",
        "k*",
        "[^eDclri][eD]+",
        ".",
    )
]


def _kind(char: str) -> str:
    found = _KINDS_OF.get(char)
    if found is not None:
        return found
    for first, last, kind in _KINDS_FROM:
        if first <= ord(char) <= last:
            return kind
    category = unicodedata.category(char)
    if char > "\uffff":
        return "x"  # A word of its own: the JDK splits there, but for some letters at the beginning of a text.
    by_category = _KINDS_BY_CATEGORY.get(category)
    if by_category is not None:
        return by_category
    return {"L": "L", "N": "N", "C": "c"}.get(category[0], "x")


def _words(text: str) -> set[int]:
    """Where a word begins, and the end of the text. Format characters belong to the word before them."""
    kinds = [(at, _kind(char)) for at, char in enumerate(text)]
    places = [at for at, kind in kinds if kind != "i"]
    shown = "".join(kind for _, kind in kinds if kind != "i")
    begins, at = {0, len(text)}, 0
    while at < len(shown):
        begins.add(places[at] if at else 0)
        at = max(found.end() for rule in _RULES if (found := rule.match(shown, at)) is not None)
    return begins


def _is_final(text: str, at: int, words: set[int]) -> bool:
    """Whether the sigma at `at` has a letter with case before it in its word, and none behind it."""
    before = at
    while before not in words and not _has_case(text[before - 1]):
        before -= 1
    if before in words:
        return False
    behind = at + 1
    while behind not in words and not _has_case(text[behind]):
        behind += 1
    return behind in words


def _has_case(char: str) -> bool:
    """Java's `isCased`: letters of a case, and what Unicode counts with them."""
    return unicodedata.category(char) in {"Ll", "Lu", "Lt"} or any(
        first <= ord(char) <= last
        for first, last in (
            (0x02B0, 0x02B8),
            (0x02C0, 0x02C1),
            (0x02E0, 0x02E4),
            (0x0345, 0x0345),
            (0x037A, 0x037A),
            (0x1D2C, 0x1D61),
            (0x2160, 0x217F),
            (0x24B6, 0x24E9),
        )
    )
