"""From a table of the migration file to what `validation` compares: the one place of this mapping."""

from __future__ import annotations

from types import MappingProxyType

from app.config.base import ConfigError
from app.config.migration import Table
from validation.spec import ComparisonSpec, Tolerance

# Sides whose last writes lie further apart than this are warned about: time alone can explain differences then.
FAR_APART_SECONDS = 1800.0


def spec_of(
    table: Table,
    *,
    sides: str = "production",
    final: bool = False,
    names: tuple[str, str] | None = None,
    hash_key: str = "",
) -> ComparisonSpec:
    """What a comparison of `table` compares.

    sides: `production` (old against new) or `development` (old against the development pipeline's table).
    names: where the old and the new production table are now, after a cutover; None: as in the migration file.
    Raises ConfigError where the migration file requires what cannot be compared.
    """
    baseline, candidate = names or (table.baseline, table.candidate)
    if sides == "development":
        if table.development is None:
            raise ConfigError(
                f"table {table.name} has no development side: give it `development` in the migration file"
            )
        candidate = table.development
    elif sides != "production":
        raise ConfigError(f"{sides!r} is neither production nor development")
    return ComparisonSpec(
        baseline=baseline,
        candidate=candidate,
        keys=table.key,
        excluded_columns=frozenset(table.exclude),
        column_mapping=MappingProxyType(dict(table.mapping)),
        column_tolerances=MappingProxyType({c: Tolerance(**t.model_dump()) for c, t in table.tolerance.items()}),
        row_threshold=table.row_threshold,
        where=table.where,
        candidate_where=table.candidate_where,
        allow_empty=table.allow_empty,
        deciding=frozenset(table.deciding),
        watermark_columns=table.watermark,
        sensitive_columns=frozenset(table.sensitive),
        baseline_exclusion=table.excluded_by,
        candidate_exclusion=table.excluded_by,
        final=final,
        hash_key=hash_key,
        skew_warning=FAR_APART_SECONDS,
    )
