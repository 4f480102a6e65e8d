"""A Quartz schedule as a sentence, where it is one that a sentence can say."""

from __future__ import annotations

from calendar import day_name
from collections.abc import Sequence

from databricks_client.quartz import Cron, CronError

MOST = 8
"""Times of a day that are listed; more are left to the expression."""

EVERY_DAY, MONTHS = frozenset(range(1, 32)), frozenset(range(1, 13))


def fires(expression: str) -> str | None:
    """When a Quartz expression fires: `daily at 05:00, 11:00 and 17:00`; None for one that is not that simple."""
    try:
        cron = Cron.parse(expression)
    except CronError:
        return None
    if cron.months != MONTHS or cron.years is not None or cron.day_rules or cron.weekday_rules:
        return None
    days = _days(cron)
    times = [(h, m, s) for h in cron.hours for m in cron.minutes for s in cron.seconds]
    if days is None or len(times) > MOST:
        return None
    return f"{days} at {_listed([f'{h:02}:{m:02}' + (f':{s:02}' if s else '') for h, m, s in times])}"


def _days(cron: Cron) -> str | None:
    if cron.days is not None:
        return "daily" if cron.days == EVERY_DAY else None
    # Quartz counts the days of the week from Sunday as 1.
    weekdays = sorted((n - 2) % 7 for n in cron.weekdays or ())
    return "daily" if len(weekdays) == 7 else f"every {_listed([day_name[n] for n in weekdays])}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
