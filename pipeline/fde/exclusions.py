"""Which properties and companies are not business: test, demo, deleted, duplicate, integration and QA ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import Column

DEFAULT_WORDS = ("test", "demo", "deleted", "duplicate", "integration", "qa")
"""Words that exclude a property or company by its name where the configuration names none."""


@dataclass(frozen=True)
class ExclusionRules:
    """The lists that decide an exclusion; see `get_fde_exclusion_filter` for how they combine."""

    words: tuple[str, ...] = DEFAULT_WORDS
    company_short_ids: tuple[str, ...] = ()
    exempt_company_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for a blank word: it would exclude every name."""
        if any(not word.strip() for word in self.words):
            raise ValueError("exclusions.words holds a blank word, which would exclude every name; remove it")

    @property
    def word_pattern(self) -> str:
        r"""A regular expression that finds any of the words in a name, with no letter, accent or digit on either side.

        No look-around and no \b, so that an underscore or an accented letter is judged alike by every engine.
        """
        alternatives = "|".join(re.escape(word.strip()) for word in self.words)
        return rf"(?i)(^|[^\p{{L}}\p{{M}}\p{{N}}])({alternatives})($|[^\p{{L}}\p{{M}}\p{{N}}])"


def get_fde_exclusion_filter(rules: ExclusionRules | None = None) -> Column:
    """True for the rows to keep; for `DataFrame.filter` on `properties_name`, `companies_name`, `companies_short_id`.

    A row is excluded when its property's or its company's name holds one of the words, or its company's short id is
    listed, unless
    the company's id is exempt (`companies_id`, read only where the rules exempt one). A NULL never excludes: the
    result is true
    or false for every row, so whether a property may be nameless is left to the expectation that says so.
    """
    rules = rules or ExclusionRules()
    excluded = F.lit(False)
    if rules.words:
        for name in ("properties_name", "companies_name"):
            excluded = excluded | _known(F.col(name).rlike(rules.word_pattern))
    if rules.company_short_ids:
        excluded = excluded | _is_one_of("companies_short_id", rules.company_short_ids)
    if rules.exempt_company_ids:
        excluded = excluded & ~_is_one_of("companies_id", rules.exempt_company_ids)
    return ~excluded


def _is_one_of(column: str, values: Iterable[str]) -> Column:
    return _known(F.col(column).isin(*values))


def _known(condition: Column) -> Column:
    """The condition in two-valued logic: unknown is false."""
    return F.coalesce(condition, F.lit(False))
