"""Text and numbers for pages: data as literal Markdown, times in a named zone, figures with units."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.durations import duration, measured
from app.moments import in_zone

NOTHING = "–"
"""Shown for a missing value; a zero is shown as 0."""

_PUNCTUATION = re.compile(r"([!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~])")
# Streamlit replaces these after its parser has dropped the backslashes, so an invisible joiner splits them.
_SHORTCODE = re.compile(r":(?=(?!\d\d:)[\w+\-]+:|material/|streamlit:)")
_ARROW = re.compile(r"(?<!\S)(<->|->|<-|--|>=|<=|~=)(?!\S)")
_LINK = re.compile(r"(https?:/|ftp:/|www)(?=[/.])|(?<=[\w.+-])@(?=\w)", re.IGNORECASE)
_JOINER = "\u2060"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def literal(value: object) -> str:
    """`value` as Markdown that displays exactly its characters, on one line.

    All data in Markdown (labels, captions, messages, help) passes here: HTML, Markdown, LaTeX, colour directives, emoji
    and icon shortcodes and addresses stay plain characters. Control characters and those that reverse the writing
    direction become U+FFFD, so that no name can imitate another.
    """
    text = _CONTROL.sub("\ufffd", " ".join(str(value).split()))
    text = _SHORTCODE.sub(":" + _JOINER, text)
    text = _LINK.sub(lambda m: m[0] + _JOINER, text)
    text = _ARROW.sub(lambda m: m[1][0] + _JOINER + m[1][1:], text)
    return _PUNCTUATION.sub(r"\\\1", text)


def told(sentence: object, zone: ZoneInfo) -> str:
    """A sentence of a rule, an operation or a refusal as literal Markdown, its times in `zone`."""
    return literal(in_zone(str(sentence), zone))


def code(value: object) -> str:
    """`value` as an inline code span, for names that are copied exactly."""
    text = _CONTROL.sub("\ufffd", " ".join(str(value).split())).replace(":material/", ":" + _JOINER + "material/")
    if not text:
        return NOTHING
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or longest else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def plot_text(value: object) -> str:
    """`value` for a Plotly label or hover text, with HTML escaped: Plotly interprets some tags."""
    return html.escape(_CONTROL.sub("\ufffd", str(value)), quote=False)


def shorten(value: object, length: int = 60) -> str:
    """`value` cut in the middle to `length` characters: both ends of a name are distinctive."""
    text = str(value)
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def zone_of(name: str | None, fallback: str = "UTC") -> ZoneInfo:
    """The time zone `name`, else `fallback`, else UTC: a browser may name a zone that is missing here."""
    for candidate in (name, fallback):
        if candidate:
            try:
                return ZoneInfo(candidate)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                continue
    return ZoneInfo("UTC")


def moment(when: datetime | None, zone: ZoneInfo, *, seconds: bool = True) -> str:
    """Local time with its zone's name, as `2026-11-23 05:55:00 EST`."""
    if when is None:
        return NOTHING
    return when.astimezone(zone).strftime(f"%Y-%m-%d %H:%M{':%S' if seconds else ''} %Z")


def clock(when: datetime | None, zone: ZoneInfo, now: datetime | None = None) -> str:
    """Time of day with its zone's name, with the date unless it is today's."""
    if when is None:
        return "never"
    local = when.astimezone(zone)
    today = (now or datetime.now(UTC)).astimezone(zone).date()
    return local.strftime("%H:%M:%S %Z" if local.date() == today else "%Y-%m-%d %H:%M %Z")


def ago(when: datetime | None, now: datetime | None = None) -> str:
    """Time since `when` in one unit, as `3 h ago`; `in 3 h` for the future; `never` for None."""
    if when is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    amount = duration(abs(seconds), 0)
    return f"in {amount}" if seconds < -1 else f"{amount} ago"


def seconds(value: float | None) -> str:
    """A measured duration with its unit: `0.42 s`, `37.5 s`, `12 min 07 s`, `2 h 05 min`."""
    return NOTHING if value is None else measured(value)


def count(value: float | None, unit: str = "", plural: str | None = None) -> str:
    """A whole number with thousands separators and its unit: `1,204 rows`, `1 row`."""
    if value is None:
        return NOTHING
    number = f"{int(value):,}"
    if not unit:
        return number
    return f"{number} {unit if int(value) == 1 else plural or unit + 's'}"


def megabytes(value: float) -> str:
    """A size in bytes, in MB or GB."""
    return f"{value / 1e6:,.1f} MB" if value < 1e9 else f"{value / 1e9:,.1f} GB"


def dbu(value: float | None) -> str:
    """Databricks units, to three significant decimals where small."""
    return NOTHING if value is None else f"{value:,.3f} DBU" if abs(value) < 10 else f"{value:,.1f} DBU"


def usd(value: float | None) -> str:
    """US dollars."""
    if value is None:
        return NOTHING
    sign = "−" if value < 0 else ""
    return f"{sign}${abs(value):,.4f}" if abs(value) < 1 else f"{sign}${abs(value):,.2f}"


def ratio(value: float | None) -> str:
    """New side over old side, as `0.47×`."""
    return NOTHING if value is None else f"{value:.2f}×"


def percent(value: float | None) -> str:
    """A fraction as percent, never rounded up to 100 % or down to 0 %."""
    if value is None:
        return NOTHING
    shown = f"{100 * value:.1f} %"
    if shown == "100.0 %" and value < 1:
        return "> 99.9 %"
    if shown == "0.0 %" and value > 0:
        return "< 0.1 %"
    return shown


def plain(value: object) -> str:
    """`value` for a table cell, without characters that hide or reverse text."""
    return _CONTROL.sub("\ufffd", str(value))
