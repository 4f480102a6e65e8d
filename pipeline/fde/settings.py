"""The pipeline's configuration, read once from the session: where it reads, what it is called, how tables are laid
out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from .exclusions import DEFAULT_WORDS, ExclusionRules

Lookup = Callable[[str], "str | None"]
"""One configuration key to its value, None where it is not set."""

# The job that this pipeline replaces has these in its first notebook; a deployment overrides them in its configuration.
DEFAULT_COMPANY_SHORT_IDS = ("SBX0001", "SBX0002", "SBX0003")
DEFAULT_EXEMPT_COMPANY_IDS = ("5d1f6c1e-0000-4000-8000-00000000d3e0",)

DEFAULT_ZORDER = {
    "dim_fde": ("property_id", "submission_datetime", "company_id"),
    "income_verification": ("property_id", "submission_datetime"),
    "unity_av_fde": ("property_id", "submission_datetime"),
}
DEFAULT_STATS_COLUMNS = 8


@dataclass(frozen=True)
class Sources:
    """The schema of each source, `catalog.schema`."""

    rds: str = "rds.pg_rds_public"
    iv: str = "rds.pg_rds_dp_income_validation_iv"
    ax: str = "rds.pg_rds_ax_public"
    av: str = "rds.pg_rds_av_av"
    helpers: str = "product.fde"
    sandbox: str = "product_sandbox.fde"


@dataclass(frozen=True)
class Layout:
    """How one gold table lies on disk. None of it changes a row."""

    zorder_columns: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    optimize_write: bool = False
    auto_compact: bool = False
    stats_columns: int = DEFAULT_STATS_COLUMNS

    def __post_init__(self) -> None:
        """Raises ValueError where the platform would refuse the combination."""
        if self.cluster_by and (self.partition_by or self.zorder_columns):
            raise ValueError(
                "a table is laid out by cluster_by or by partition_by and zorder_columns, not both; "
                "set layout.<table>.zorder_columns to an empty text to cluster"
            )

    @property
    def table_properties(self) -> dict[str, str]:
        """The table properties that ask for this layout."""
        found = {"quality": "gold", "delta.dataSkippingNumIndexedCols": str(self.stats_columns)}
        if ordered := self.zorder_columns or self.cluster_by:
            # Order by a column without statistics skips no file, and these lie behind the first `stats_columns`. The
            # named columns take the place of the first ones.
            found["delta.dataSkippingStatsColumns"] = ",".join(ordered)
        if self.zorder_columns:
            found["pipelines.autoOptimize.zOrderCols"] = ",".join(self.zorder_columns)
        if self.optimize_write:
            found["delta.autoOptimize.optimizeWrite"] = "true"
        if self.auto_compact:
            found["delta.autoOptimize.autoCompact"] = "true"
        return found

    def options(self, on_platform: bool) -> dict[str, list[str]]:
        """What the dataset's declaration says of this layout, beside its table properties.

        Liquid clustering is declared on Databricks only: open-source Delta refuses it for a pipeline's dataset.
        """
        found: dict[str, list[str]] = {}
        if self.partition_by:
            found["partition_cols"] = list(self.partition_by)
        if self.cluster_by and on_platform:
            found["cluster_by"] = list(self.cluster_by)
        return found


@dataclass(frozen=True)
class Settings:
    """Everything that differs between one deployment of the pipeline and another."""

    catalog: str = ""
    schema: str = ""
    table_prefix: str = ""
    sources: Sources = field(default_factory=Sources)
    exclusions: ExclusionRules = field(default_factory=ExclusionRules)
    deduplicate_sources: bool = False
    """Whether a source may hold the very same row twice. As replicas of tables with primary keys they do not."""
    layouts: dict[str, Layout] = field(default_factory=dict)

    def table(self, name: str) -> str:
        """The name under which the pipeline publishes a table; catalog and schema are the pipeline's own defaults."""
        return f"{self.table_prefix}{name}"

    def layout(self, name: str) -> Layout:
        """The layout of a gold table, by its name without the prefix."""
        return self.layouts.get(name, Layout())


GOLD_TABLES = (
    "dim_fde",
    "income_verification",
    "iv_fde_ax",
    "iv_master_results",
    "unity_av_fde",
    "roi_fraud_reduction",
)
"""The six tables that the pipeline publishes, without their prefix."""


def load(spark: Any) -> Settings:
    """Settings of the pipeline that runs in this session.

    A key is looked up as it stands in the pipeline's configuration, then with the prefix `spark.`: open-source Spark
    keeps no other.
    """

    def lookup(key: str) -> str | None:
        for name in (key, f"spark.{key}"):
            value = spark.conf.get(name, None)
            if value is not None:
                return str(value)
        return None

    # A property in some versions, a method in others, and absent before Spark 4.
    listed = getattr(spark.conf, "getAll", {})
    return from_lookup(lookup, listed() if callable(listed) else listed)


SOURCE_KEYS = ("source_rds", "source_iv", "source_ax", "source_av", "source_helpers", "source_sandbox")
REQUIRED = ("table_prefix", *SOURCE_KEYS)
"""A mistyped one would publish under the names that consumers read, or read the tables of another environment."""
KNOWN = frozenset({
    *REQUIRED, "catalog", "schema", "deduplicate_sources",
    "exclusions.words", "exclusions.company_short_ids", "exclusions.exempt_company_ids",
    "layout.optimize_write", "layout.auto_compact", "layout.stats_columns",
    *(f"layout.{t}.{k}" for t in GOLD_TABLES for k in ("zorder_columns", "cluster_by", "partition_by")),
})  # fmt: skip
OURS = ("table_", "source_", "exclusions.", "layout.", "deduplicate_")
"""How this pipeline's keys begin; the session has many of the platform's beside them."""


def check_keys(lookup: Lookup, keys: Iterable[str]) -> None:
    """Raises ValueError, naming the key, where a required one is absent or empty, or one of ours is not known."""
    names = {k.removeprefix("spark.") for k in keys}
    for name in sorted(names - KNOWN):
        near = get_close_matches(name, KNOWN, 1, 0.8) if "." not in name or name.startswith(OURS) else []
        if near or name.startswith(OURS):
            hint = f": is {near[0]} meant?" if near else ""
            raise ValueError(f"pipeline configuration {name} is not known{hint}")
    for name in REQUIRED:
        if not (lookup(name) or "").strip():
            raise ValueError(f"pipeline configuration {name} is not set: name it in the pipeline's configuration")


def from_lookup(lookup: Lookup, keys: Iterable[str] = ()) -> Settings:
    """Settings from any source of configuration. keys: all that it has.

    Raises ValueError, naming the key, for a value that cannot be read, and as `check_keys` does.
    """
    check_keys(lookup, keys)
    sources = Sources()
    return Settings(
        catalog=lookup("catalog") or "",
        schema=lookup("schema") or "",
        table_prefix=lookup("table_prefix") or "",
        sources=Sources(
            rds=lookup("source_rds") or sources.rds,
            iv=lookup("source_iv") or sources.iv,
            ax=lookup("source_ax") or sources.ax,
            av=lookup("source_av") or sources.av,
            helpers=lookup("source_helpers") or sources.helpers,
            sandbox=lookup("source_sandbox") or sources.sandbox,
        ),
        exclusions=ExclusionRules(
            words=_listed(lookup, "exclusions.words", DEFAULT_WORDS),
            company_short_ids=_listed(lookup, "exclusions.company_short_ids", DEFAULT_COMPANY_SHORT_IDS),
            exempt_company_ids=_listed(lookup, "exclusions.exempt_company_ids", DEFAULT_EXEMPT_COMPANY_IDS),
        ),
        deduplicate_sources=_switch(lookup, "deduplicate_sources"),
        layouts={name: _layout(lookup, name) for name in GOLD_TABLES},
    )


def _layout(lookup: Lookup, name: str) -> Layout:
    key = f"layout.{name}"
    return Layout(
        zorder_columns=_listed(lookup, f"{key}.zorder_columns", DEFAULT_ZORDER.get(name, ())),
        cluster_by=_listed(lookup, f"{key}.cluster_by", ()),
        partition_by=_listed(lookup, f"{key}.partition_by", ()),
        optimize_write=_switch(lookup, "layout.optimize_write"),
        auto_compact=_switch(lookup, "layout.auto_compact"),
        stats_columns=_whole_number(lookup, "layout.stats_columns", DEFAULT_STATS_COLUMNS),
    )


def _listed(lookup: Lookup, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """A comma-separated list; set and empty means none, not set means the default."""
    text = lookup(key)
    if text is None:
        return default
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _switch(lookup: Lookup, key: str) -> bool:
    text = (lookup(key) or "false").strip().lower()
    if text not in ("true", "false"):
        raise ValueError(f"pipeline configuration {key} is {text!r}; write true or false")
    return text == "true"


def _whole_number(lookup: Lookup, key: str, default: int) -> int:
    text = lookup(key)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"pipeline configuration {key} is {text!r}; write a whole number") from error
