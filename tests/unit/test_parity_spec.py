"""What is compared: the options of the migration file reach the comparison, and both sides have their names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import validation
from app.config.base import ConfigError
from app.config.migration import Table, Tolerance
from app.operations.definition import Observation
from app.operations.past import PastCutover
from app.operations.world import Relation
from app.parity.names import names_now
from app.parity.spec import spec_of
from databricks_client.tables import TableState
from tests.support.parity_running import T

TABLE = Table(
    name="t", baseline="c.s.t", candidate="c.s.v2_t", development="d.s.t", key=("a", "b"), watermark=("at", "other"),
    sensitive=("mail",), exclude=("loaded",), mapping={"x": "y"},
    tolerance={"n": Tolerance(absolute=0.5, relative=0.0, seconds=0.0), "at": Tolerance(absolute=0.0, relative=0.0, seconds=2)},
    row_threshold=3, where="a > 1", excluded_by="test",
)  # fmt: skip


def test_every_option_of_the_migration_file_reaches_the_comparison() -> None:
    spec = spec_of(TABLE, final=True)
    assert (spec.baseline, spec.candidate, spec.keys, spec.watermark_columns) == (
        "c.s.t",
        "c.s.v2_t",
        ("a", "b"),
        ("at", "other"),
    )
    assert (spec.excluded_columns, dict(spec.column_mapping), spec.sensitive_columns) == (
        {"loaded"},
        {"x": "y"},
        {"mail"},
    )
    assert spec.column_tolerances == {"n": validation.Tolerance(absolute=0.5), "at": validation.Tolerance(seconds=2)}
    assert spec.row_threshold == 3 and not spec.tolerance
    assert spec.where is not None and spec.baseline_exclusion == spec.candidate_exclusion and spec.final


def test_a_comparison_is_of_the_names_that_it_is_given() -> None:
    assert spec_of(TABLE, names=("c.s.t_old", "c.s.t")).baseline == "c.s.t_old"
    assert spec_of(TABLE, sides="development").candidate == "d.s.t"


def test_a_table_without_a_development_side_is_refused() -> None:
    with pytest.raises(ConfigError, match="no development side"):
        spec_of(TABLE.model_copy(update={"development": None}), sides="development")


@pytest.mark.parametrize(
    ("method", "served", "kept", "names"),
    [
        ("rename", "id-new", "id-old", ("c.s.t_old", "c.s.t")),
        ("rename", "id-old", "id-copy", ("c.s.t", "c.s.v2_t")),
        ("view", "id-old", "id-copy", ("c.s.t", "c.s.v2_t")),
        ("view", "id-new", "id-old", None),
        ("rename", "id-else", "id-old", None),
        ("rename", "id-new", "id-copy", None),
        ("rename", None, None, None),
    ],
)
def test_the_last_cutover_tells_a_renamed_table_from_a_backup(
    method: str, served: str | None, kept: str | None, names: tuple[str, str] | None
) -> None:
    ids = {"c.s.t": served, "c.s.t_old": kept}
    tables: Any = SimpleNamespace(
        exists=lambda name: name in ids, state=lambda name: TableState(name, True, "MANAGED", table_id=ids[name])
    )
    before = Observation(
        T,
        (Relation("c.s.t", "table", table_id="id-old"), Relation("c.s.v2_t", "table", table_id="id-new")),
    )
    past = PastCutover(before, {"t": method})
    if names is not None:
        assert names_now(tables, TABLE, past.kept_is) == names
    else:
        with pytest.raises(ConfigError, match="is unknown"):
            names_now(tables, TABLE, past.kept_is)
