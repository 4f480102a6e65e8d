"""`cutover init`: pairs, keys, watermarks and sensitive columns guessed and marked; hostile names kept or refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from app.cli import main as cli
from app.cli.context import context
from app.config.migration import Migration
from app.config.settings import IdentitySource, Settings
from app.draft.guess import key_of, pairs, prefix_of, sensitive_of, short, watermark_of
from app.draft.look import NotFound
from app.draft.write import comment, quoted
from databricks_client.client import Workspace as Client
from databricks_client.endpoint import Endpoint
from databricks_client.tables import Column, TableState
from emulator.metadata import MANAGED, ColumnRecord, TableRecord
from emulator.workspace import Workspace
from tests.support.rest_calls import notebook, pipeline, schedule, task
from tests.support.workspace_server import Server

ADMIN = "admin@example.com"
NUMBERS = count(1)


def table(name: str, *columns: tuple[str, str], **more: Any) -> TableState:
    found = tuple(Column(c, t, nullable=not c.startswith("!"), comment=None) for c, t in columns)
    return TableState(f"c.s.{name}", True, "MANAGED", columns=found, **more)


# -- guesses -----------------------------------------------------------------------------------------------------------


def test_pairs_are_found_with_the_prefix_that_most_names_have() -> None:
    old = [table(n) for n in ("orders", "order_lines", "lines", "unrelated")]
    new = [table(f"v2_{n}", pipeline_id="p") for n in ("orders", "order_lines", "returns")]
    assert prefix_of(new, old) == "v2_"
    found, alone = pairs(new, old, "v2_")
    assert [(short(p.old.name), short(p.new.name)) for p in found] == [
        ("orders", "v2_orders"), ("order_lines", "v2_order_lines"),
    ]  # fmt: skip
    assert [short(t.name) for t in alone] == ["v2_returns"]


def test_pairs_are_found_by_the_same_name_in_another_schema() -> None:
    old = [TableState("c.old.Größe", True), TableState("c.old.select", True)]
    new = [TableState("c.new.größe", True, pipeline_id="p"), TableState("c.new.select", True, pipeline_id="p")]
    found, alone = pairs(new, old, prefix_of(new, old))
    assert len(found) == 2 and not alone and {p.why for p in found} == {"the same name in another schema"}


def test_a_table_of_another_pipeline_is_no_old_one() -> None:
    old = [table("orders", pipeline_id="q")]
    found, alone = pairs([table("v2_orders", pipeline_id="p")], old, "v2_")
    assert not found and len(alone) == 1


def test_a_key_comes_from_the_constraint_then_from_the_name() -> None:
    named = table("loans", ("loan_id", "bigint"), ("book_id", "bigint"))
    assert key_of(named) is not None and key_of(named).columns == ("loan_id",)  # type: ignore[union-attr]
    constrained = key_of(table("loans", ("loan_id", "bigint"), primary_key=("a b", "c,d")))
    assert constrained is not None and constrained.columns == ("a b", "c,d") and "does not enforce" in constrained.why
    assert key_of(table("loans", ("amount", "double"))) is None
    assert key_of(table("library_copies", ("copy_id", "bigint"))).columns == ("copy_id",)  # type: ignore[union-attr]
    assert key_of(table("city_branches", ("branch_id", "bigint"))) is None
    assert key_of(table("dim_branch", ("branch_id", "bigint"))).columns == ("branch_id",)  # type: ignore[union-attr]


def test_a_watermark_is_a_timestamp_that_changes_with_writes() -> None:
    columns = (("created_at", "timestamp"), ("updated_at", "timestamp_ntz"), ("updated_by", "string"))
    found = watermark_of(table("t", *columns))
    assert found is not None and found.columns == ("updated_at",)
    assert watermark_of(table("t", ("updated_at", "date"))) is None


def test_sensitive_columns_by_tag_by_name_and_never_the_watermark() -> None:
    columns = [Column(n, "string", True, None) for n in ("Email", "note", "birthday", "emailed_at", "shipping", "zip")]
    found = sensitive_of(columns, {"note": {"pii": "free text"}}, ("emailed_at",))
    assert [g.columns for g in found] == [("note",), ("Email", "birthday", "zip")]
    changed = [Column("address_updated_at", "timestamp", True, None)]
    assert sensitive_of(changed, {}, ()) and not sensitive_of(changed, {}, ("Address_Updated_At",))


def test_a_primary_key_is_read_as_columns(server: Server) -> None:
    key = {"primary_key_constraint": {"name": "pk", "child_columns": ["a, b", "c"]}}
    server.on("GET", "/api/2.1/unity-catalog/tables/*", {"table_type": "MANAGED", "table_constraints": [key]})
    assert server.workspace().tables.state("c.s.t").primary_key == ("a, b", "c")


@pytest.mark.parametrize("text", ["a\x07b", "a\nb", "a\tb", "\x85"])
def test_a_name_that_no_file_holds_is_refused(text: str) -> None:
    with pytest.raises(NotFound, match="rename it in the workspace"):
        quoted(text)
    assert "\n" not in comment(text) and "\x85" not in comment(text)


# -- the command -------------------------------------------------------------------------------------------------------


class Sql:
    """Stands in for the SQL warehouse: counts of keys, and tags of columns."""

    def __init__(self, rows: int, keys: int) -> None:
        self.rows, self.keys = rows, keys
        self.asked: list[str] = []

    def query(self, text: str, values: Any = None, *, what: str = "") -> Sequence[dict[str, Any]]:
        self.asked.append(text)
        if "column_tags" in text:
            assert set(values) == {"schema", "name"}
            return [{"column_name": "remark", "tag_name": "pii", "tag_value": ""}]
        return [{"n": self.rows, "k": self.keys}]

    def close(self) -> None:
        return


class Drafting:
    """A workspace with one job, one pipeline and some tables, and the command on it."""

    def __init__(self, local: Workspace, client: WorkspaceClient, folder: Path, capsys: Any) -> None:
        self.local, self.client, self.file, self.capsys = local, client, folder / "m.yaml", capsys
        self.catalog = f"draft{next(NUMBERS)}"
        self.job, self.pipeline = f"library {self.catalog}", f"pipeline {self.catalog}"
        self.sql = Sql(5, 5)
        local.sql.catalog.create_catalog(self.catalog, ADMIN)
        for schema in ("default", "old"):
            local.sql.catalog.create_schema(f"{self.catalog}.{schema}", ADMIN)

    def built(self, *tables: tuple[str, str | None], job: str = "") -> Drafting:
        """tables: `schema.name` to the pipeline's mark: None for an old table."""
        self.job = job or self.job
        path = notebook(self.local, "loans", "ok")
        self.id = self.client.jobs.create(name=self.job, tasks=[task("a", path)], schedule=schedule()).job_id
        made = self.client.pipelines.create(
            name=self.pipeline, catalog=self.catalog, schema="default",
            libraries=self.client.pipelines.get(pipeline(self.client, f"{self.pipeline} x")).spec.libraries,  # type: ignore[union-attr]
        ).pipeline_id  # fmt: skip
        for name, of in tables:
            self.table(*name.split(".", 1), str(made) if of else None)
        return self

    def table(self, schema: str, name: str, pipeline_id: str | None) -> None:
        columns = tuple(
            ColumnRecord(c, t, "{}", t.upper(), n)
            for n, (c, t) in enumerate(
                (("loan_id", "bigint"), ("e mail", "string"), ("remark", "string"), ("updated_at", "timestamp"))
            )
        )
        self.local.sql.catalog.put_table(
            TableRecord(
                self.catalog, schema, name, "MATERIALIZED_VIEW" if pipeline_id else MANAGED, ADMIN, None, 1, ADMIN, 1,
                ADMIN, f"{self.catalog}-{schema}-{name}", pipeline_id=pipeline_id, columns=columns,
            )
        )  # fmt: skip

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        workspace = Client(Endpoint(self.local.host, self.local.warehouse_id, self.local.admin_token))
        workspace.__dict__["sql"] = self.sql
        context.connect = lambda endpoint: workspace  # type: ignore[method-assign]
        self.capsys.readouterr()
        status = cli.main(("init", str(self.file), "--job", self.job, "--pipeline", self.pipeline, *arguments))
        return status, *self.capsys.readouterr()


@pytest.fixture
def drafting(
    local: Workspace, client: WorkspaceClient, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Drafting]:
    vars(context).clear()
    monkeypatch.setenv("DATABRICKS_HOST", local.host)
    monkeypatch.setenv("DATABRICKS_WAREHOUSE_ID", local.warehouse_id)
    context.settings = Settings(  # type: ignore[misc]
        data=tmp_path, store_url="unused", migration_path=Path("m.yaml"), identity=IdentitySource.TOKEN
    )
    yield Drafting(local, client, tmp_path, capsys)
    vars(context).clear()


PAIRS = (("default.loans", None), ("default.v2_loans", "p"), ("default.v2_fines", "p"))


def test_a_file_is_drafted_that_is_valid_and_marks_its_guesses(drafting: Drafting) -> None:
    status, out, err = drafting.built(*PAIRS)("--json")
    assert (status, err) == (0, "")
    value, text = json.loads(out), drafting.file.read_text()
    migration = Migration.load(drafting.file)
    (found,) = migration.tables
    c = drafting.catalog
    assert (found.name, found.baseline, found.candidate) == ("loans", f"{c}.default.loans", f"{c}.default.v2_loans")
    assert (found.key, found.watermark, found.sensitive) == (("loan_id",), ("updated_at",), ("e mail",))
    assert migration.baseline_job.id == drafting.id and migration.timezone == "America/New_York"
    assert value["guesses"] == text.count("# guess: ") >= 10 and value["left_out"] == [f"{c}.default.v2_fines"]
    for line in text.splitlines():
        if any(line.strip().startswith(f) for f in ("key:", "watermark:", "sensitive:", "candidate:", "viewer:")):
            assert "# guess: " in line, line
    assert not drafting.sql.asked, "nothing was queried: the warehouse does not run"
    assert "tags of columns were not read" in text


def test_a_file_is_never_overwritten_unasked(drafting: Drafting) -> None:
    drafting.built(*PAIRS).file.write_text("mine")
    status, _, err = drafting()
    assert status == 2 and "exists" in err and drafting.file.read_text() == "mine"
    assert drafting("--force")[0] == 0 and drafting.file.read_text() != "mine"
    assert list(drafting.file.parent.glob(".m.yaml*")) == []


def test_a_file_that_appears_meanwhile_is_not_overwritten(drafting: Drafting) -> None:
    ask = drafting.sql.query

    def slow(*given: Any, **named: Any) -> Sequence[dict[str, Any]]:
        drafting.file.write_text("another's")
        return ask(*given, **named)

    drafting.sql.query = slow  # type: ignore[method-assign]
    status, _, err = drafting.built(*PAIRS)("--check-keys")
    assert status == 2 and "exists" in err and drafting.file.read_text() == "another's"


def test_keys_are_checked_by_query_on_request(drafting: Drafting) -> None:
    assert drafting.built(*PAIRS)("--check-keys")[0] == 0
    text = drafting.file.read_text()
    assert "# checked: named as the id of loans; unique in all 5 rows" in text
    assert Migration.load(drafting.file).tables[0].sensitive == ("remark", "e mail")
    drafting.sql = Sql(5, 3)
    assert drafting("--check-keys", "--force")[0] == 0
    assert Migration.load(drafting.file).tables[0].key == ()
    assert "# loan_id is no key: 5 rows have 3 of it" in drafting.file.read_text()
    assert f"SELECT DISTINCT `loan_id` FROM `{drafting.catalog}`.`default`.`loans`" in drafting.sql.asked[-1]


@pytest.mark.parametrize(
    "job",
    ['a "quoted" name', "it's # no comment", "a: b", "null", "123abc", "{x}", "größe ✓ 😀", "- x", "%{tag}", " y "],
)
def test_names_of_jobs_come_through_whole(drafting: Drafting, job: str) -> None:
    assert drafting.built(*PAIRS, job=f"{job}{drafting.catalog}{job}")()[0] == 0
    assert Migration.load(drafting.file).baseline_job.name == drafting.job


@pytest.mark.parametrize("name", ["select", "größe", "o'hara", '"x"', "tick`s", "yes", "a#b", "a-b", "1e3"])
def test_names_of_tables_come_through_whole(drafting: Drafting, name: str) -> None:
    assert drafting.built((f"default.{name}", None), (f"default.v2_{name}", "p"))()[0] == 0
    (found,) = Migration.load(drafting.file).tables
    assert (found.name, found.baseline) == (name, f"{drafting.catalog}.default.{name}")


@pytest.mark.parametrize("name", ["a b", "a/b", "a.b"])
def test_names_that_no_table_can_have_are_left_out_and_named(drafting: Drafting, name: str) -> None:
    drafting.built(*PAIRS, (f"default.{name}", None), (f"default.v2_{name}", "p"))
    status, out, _ = drafting()
    text = drafting.file.read_text()
    assert status == 0 and f"# left out: {drafting.catalog}.default.{name}: " in text and f"{name}: " in out
    assert [t.name for t in Migration.load(drafting.file).tables] == ["loans"]


def test_tables_of_another_schema_are_found_where_it_is_named(drafting: Drafting) -> None:
    drafting.built(("old.loans", None), ("default.loans", "p"))
    status, _, err = drafting()
    assert status == 2 and "--old-schema" in err and not drafting.file.exists()
    assert drafting("--old-schema", f"{drafting.catalog}.old")[0] == 0
    assert Migration.load(drafting.file).tables[0].baseline == f"{drafting.catalog}.old.loans"


def test_what_is_not_there_is_one_line(drafting: Drafting) -> None:
    drafting.built()
    status, _, err = drafting()
    assert status == 2 and "has no tables in" in err
    drafting.job = "no such job"
    status, _, err = drafting()
    assert status == 1 and "no job of this name" in err and err.count("\n") == 1
    assert drafting("--old-schema", "x")[0] == 2


def test_wrong_use_is_one_line(drafting: Drafting) -> None:
    assert cli.main(("init",)) == 2
    assert cli.main(("init", str(drafting.file), "--job", "x")) == 2
