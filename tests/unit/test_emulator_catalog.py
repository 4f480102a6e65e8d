"""Unity Catalog's records and grants, without Spark."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import types as T

from emulator.catalog import Catalog
from emulator.dialect.parser import parse
from emulator.information_schema import InformationSchema
from emulator.metadata import MANAGED, VIEW, Grant, TableRecord
from emulator.sql.commands import Commands, matches
from emulator.sql.engine import Engine
from emulator.sql.errors import SqlError
from emulator.sql.literals import of_python, typed
from emulator.sql.rows import Rows
from emulator.sql.session import Context, SqlSession
from emulator.state import State

GROUPS = {"root": {"admins"}, "ada": {"readers"}}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(tmp_path / "catalog.sqlite", lambda principal: GROUPS.get(principal, set()))
    made.create_catalog("product", "root")
    made.create_schema("product.fde", "root")
    made.put_table(record("t"))
    return made


def record(name: str, owner: str = "root", table_type: str = MANAGED) -> TableRecord:
    return TableRecord("product", "fde", name, table_type, owner, None, 1, owner, 1, owner, f"id-{name}")


def grant(catalog: Catalog, kind: str, name: str, principal: str, *privileges: str) -> None:
    catalog.update_grants(kind, name, [(principal, privileges, ())], "root")


def test_records_survive_a_new_process_and_a_kill(catalog: Catalog) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from emulator.catalog import Catalog\n"
        f"c = Catalog(Path({str(catalog.path)!r}), lambda p: {{'admins'}})\n"
        "c.create_schema('product.killed', 'root'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    again = Catalog(catalog.path, lambda _: set())
    assert [s.name for s in again.list_schemas("product")] == ["fde", "killed"]
    assert again.get_table("product.fde.t") == record("t")


def test_missing_things_are_named_with_the_services_classes(catalog: Catalog) -> None:
    for call, error_class, state in (
        (lambda: catalog.get_catalog("nope"), "NO_SUCH_CATALOG_EXCEPTION", "42704"),
        (lambda: catalog.get_schema("product.nope"), "SCHEMA_NOT_FOUND", "42704"),
        (lambda: catalog.get_table("product.fde.nope"), "TABLE_OR_VIEW_NOT_FOUND", "42P01"),
        (lambda: catalog.create_catalog("PRODUCT", "root"), "CATALOG_ALREADY_EXISTS", "42710"),
        (lambda: catalog.create_schema("product.FDE", "root"), "SCHEMA_ALREADY_EXISTS", "42P06"),
    ):
        with pytest.raises(SqlError) as caught:
            call()
        assert (caught.value.error_class, caught.value.sqlstate) == (error_class, state)
    with pytest.raises(SqlError, match=r"`product`\.`fde`\.`nope`"):
        catalog.get_table("product.fde.nope")


def test_privileges_reach_from_catalog_and_schema_to_tables(catalog: Catalog) -> None:
    assert not catalog.has_privilege("ada", "SELECT", "TABLE", "product.fde.t")
    for kind, name in (("CATALOG", "product"), ("SCHEMA", "product.fde"), ("TABLE", "product.fde.t")):
        grant(catalog, kind, name, "readers", "SELECT")
        assert catalog.has_privilege("ada", "SELECT", "TABLE", "product.fde.t"), kind
        catalog.update_grants(kind, name, [("readers", (), ("SELECT",))], "root")
        assert not catalog.has_privilege("ada", "SELECT", "TABLE", "product.fde.t"), kind


def test_all_privileges_covers_all_but_manage(catalog: Catalog) -> None:
    grant(catalog, "TABLE", "product.fde.t", "ada", "ALL PRIVILEGES")
    assert catalog.has_privilege("ada", "MODIFY", "TABLE", "product.fde.t")
    assert not catalog.has_privilege("ada", "MANAGE", "TABLE", "product.fde.t")


def test_modify_cannot_be_granted_on_a_view(catalog: Catalog) -> None:
    catalog.put_table(replace(record("v"), table_type="VIEW"))
    with pytest.raises(SqlError, match="MODIFY is not applicable"):
        grant(catalog, "TABLE", "product.fde.v", "ada", "MODIFY")
    grant(catalog, "TABLE", "product.fde.v", "ada", "SELECT")


def test_owner_and_admin_need_no_grant(catalog: Catalog) -> None:
    catalog.put_table(record("mine", owner="ada"))
    assert catalog.has_privilege("ada", "SELECT", "TABLE", "product.fde.mine")
    assert catalog.has_privilege("root", "SELECT", "TABLE", "product.fde.mine")
    assert not catalog.has_privilege("bob", "SELECT", "TABLE", "product.fde.mine")


def test_a_schemas_owner_manages_its_tables_but_reads_them_only_when_granted(catalog: Catalog) -> None:
    catalog.put_schema(replace(catalog.get_schema("product.fde"), owner="ada"))
    assert catalog.has_privilege("ada", "MANAGE", "TABLE", "product.fde.t")
    assert not catalog.has_privilege("ada", "SELECT", "TABLE", "product.fde.t")


def test_only_managers_change_grants(catalog: Catalog) -> None:
    with pytest.raises(SqlError) as caught:
        catalog.update_grants("TABLE", "product.fde.t", [("ada", ("SELECT",), ())], "ada")
    assert (caught.value.error_class, caught.value.sqlstate) == ("INSUFFICIENT_PERMISSIONS", "42501")
    assert catalog.grants("TABLE", "product.fde.t") == []


def test_a_privilege_that_a_securable_does_not_take_is_refused(catalog: Catalog) -> None:
    with pytest.raises(SqlError, match="not applicable"):
        grant(catalog, "TABLE", "product.fde.t", "ada", "USE CATALOG")


def test_grants_follow_a_rename_and_end_with_the_table(catalog: Catalog) -> None:
    grant(catalog, "TABLE", "product.fde.t", "ada", "SELECT")
    catalog.rename_table(catalog.get_table("product.fde.t"), ("product", "fde", "t_old"), "root")
    assert catalog.grants("TABLE", "product.fde.t_old") == [Grant("ada", "SELECT")]
    catalog.put_table(record("t"))
    assert catalog.grants("TABLE", "product.fde.t") == []
    catalog.remove_table("product.fde.t_old")
    catalog.put_table(record("t_old"))
    assert catalog.grants("TABLE", "product.fde.t_old") == []


@pytest.mark.parametrize("kind", ["GRANT", "REVOKE"])
def test_a_grant_names_somebody_who_is_there(tmp_path: Path, catalog: Catalog, kind: str) -> None:
    state = State(tmp_path / "workspace.db")
    state.create_principal("group", "team", "Team")
    state.close()
    commands = Commands(cast(SqlSession, SimpleNamespace(catalog=catalog)), lambda text: Rows.local([], []))
    word = "TO" if kind == "GRANT" else "FROM"

    def run(principal: str) -> None:
        statement = parse(f"{kind} USE CATALOG ON CATALOG product {word} `{principal}`")
        commands.answer(cast(Any, SimpleNamespace(statement=statement, me="root")))

    for known in ("team", "account users"):
        run(known)
        assert bool(catalog.grants("CATALOG", "product", known)) == (kind == "GRANT")
    with pytest.raises(SqlError, match=r"PRINCIPAL_DOES_NOT_EXIST.*Could not find principal with name ghost"):
        run("ghost")
    assert catalog.grants("CATALOG", "product", "ghost") == []


def test_effective_grants_say_where_they_come_from(catalog: Catalog) -> None:
    grant(catalog, "SCHEMA", "product.fde", "readers", "SELECT", "USE SCHEMA")
    assert catalog.effective_grants("TABLE", "product.fde.t", "ada") == [
        Grant("readers", "SELECT", ("SCHEMA", "product.fde"))
    ]


def test_listings_show_what_a_principal_holds_something_on(catalog: Catalog) -> None:
    assert not catalog.can_see("ada", "CATALOG", "product")
    grant(catalog, "TABLE", "product.fde.t", "readers", "SELECT")
    catalog.put_table(record("hidden", table_type=VIEW))
    assert catalog.can_see("ada", "CATALOG", "product")
    assert catalog.can_see("ada", "SCHEMA", "product.fde")
    assert catalog.can_see("ada", "TABLE", "product.fde.t")
    assert not catalog.can_see("ada", "TABLE", "product.fde.hidden")
    assert not catalog.can_see("bob", "CATALOG", "product")


def test_the_text_of_a_view_is_shown_to_its_owner_alone(catalog: Catalog) -> None:
    for owner in ("root", "ada", "readers"):
        made = replace(record(f"v_{owner}", owner, VIEW), view_definition="SELECT 1")
        catalog.put_table(made)

    def texts(principal: str) -> dict[str, str | None]:
        found = InformationSchema(catalog, principal).table("product", "views")
        assert found is not None
        return {row["table_name"]: row["view_definition"] for row in found.to_pylist()}

    assert texts("root") == {"v_root": "SELECT 1", "v_ada": None, "v_readers": None}, "administrators are no owners"
    assert texts("ada") == {"v_ada": "SELECT 1", "v_readers": "SELECT 1"}
    assert texts("bob") == {}


def test_an_intent_of_a_process_that_is_gone_is_abandoned(catalog: Catalog) -> None:
    number = catalog.begin("create", "product.fde.x")
    assert not catalog.intents()[0].abandoned
    catalog.finish(number)
    code = (
        "from pathlib import Path; from emulator.catalog import Catalog\n"
        f"Catalog(Path({str(catalog.path)!r}), lambda p: set()).begin('drop', 'product.fde.t')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert [(i.operation, i.abandoned) for i in catalog.intents()] == [("drop", True)]


def test_many_threads_write_at_once(catalog: Catalog) -> None:
    def work(number: int) -> None:
        for step in range(10):
            catalog.put_table(record(f"t{number}_{step}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(catalog.list_tables("product.fde")) == 81


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("5", "INT", "5"),
        ("-5", "BIGINT", "(-5L)"),
        ("-128", "TINYINT", "CAST('-128' AS TINYINT)"),
        ("1.50", "DECIMAL(10,2)", "CAST('1.50' AS DECIMAL(10,2))"),
        ("it's \\", "STRING", "'it\\'s \\\\'"),
        ("true", "BOOLEAN", "TRUE"),
        (None, "INT", "CAST(NULL AS INT)"),
        ("None", "VOID", "NULL"),
        ("2024-01-02", "DATE", "CAST('2024-01-02' AS DATE)"),
    ],
)
def test_a_parameter_becomes_a_literal_of_its_type(text: str | None, kind: str, expected: str) -> None:
    assert typed(text, kind).text == expected


@pytest.mark.parametrize(("text", "kind"), [("x", "INT"), ("300", "TINYINT"), ("1.5", "BIGINT"), ("maybe", "BOOLEAN")])
def test_a_parameter_that_is_not_of_its_type_is_refused(text: str, kind: str) -> None:
    with pytest.raises(SqlError) as caught:
        typed(text, kind)
    assert caught.value.sqlstate == "22018"


def test_python_values_become_literals() -> None:
    assert of_python([1, None, "a'b"]).text == "array(1, NULL, 'a\\'b')"
    assert of_python(2**40).text == f"{2**40}L"


def test_shows_pattern() -> None:
    assert matches("dim_*|iv*", "IV_x")
    assert not matches("dim_*", "dimx")
    assert matches(None, "anything")


def test_this_process_has_a_start() -> None:
    from emulator.metadata import process_start

    assert process_start(os.getpid())
    assert process_start(2**22 + 5) == ""


class DeadLink:
    """Spark that holds `spark_names` and answers nothing else; `dead`: it answers nothing at all."""

    def __init__(self, *spark_names: str, dead: bool = False) -> None:
        self.spark_names, self.dead, self.session_id, self.url = spark_names, dead, "s", "sc://none"

    def configure(self, name: str, value: str) -> None:
        if self.dead:
            raise ConnectionError("no Spark")

    def table_schema(self, spark_name: str) -> object:
        if self.dead:
            raise ConnectionError("no Spark")
        if spark_name not in self.spark_names:
            raise AnalysisException(
                "[TABLE_OR_VIEW_NOT_FOUND]", errorClass="TABLE_OR_VIEW_NOT_FOUND", messageParameters={}
            )
        return pa.schema([])


def engine(catalog: Catalog, root: Path, link: DeadLink) -> Engine:
    return Engine(link, catalog, Context("root", "s"), root)  # type: ignore[arg-type]


def test_files_that_a_table_of_the_catalog_has_are_not_deleted(catalog: Catalog, tmp_path: Path) -> None:
    kept, gone = tmp_path / "kept", tmp_path / "gone"
    kept.mkdir()
    gone.mkdir()
    catalog.put_table(replace(record("moving"), storage_location=kept.as_uri()))
    cleaner = engine(catalog, tmp_path, DeadLink())
    cleaner.remove_folder(kept.as_uri())
    cleaner.remove_folder(gone.as_uri())
    assert kept.is_dir() and not gone.exists()


def test_a_rename_that_spark_did_before_its_answer_was_lost_is_done(catalog: Catalog, tmp_path: Path) -> None:
    there = engine(catalog, tmp_path, DeadLink("`product__fde`.`renamed`"))
    with pytest.raises(TimeoutError), there.intent("rename", "product.fde.t", to="product.fde.renamed", actor="root"):
        raise TimeoutError
    assert catalog.find(("product", "fde", "t")) is None
    assert catalog.get_table("product.fde.renamed").table_id == "id-t"
    assert catalog.intents() == []


def test_what_became_of_a_change_is_left_to_the_next_start_where_spark_cannot_be_asked(
    catalog: Catalog, tmp_path: Path
) -> None:
    unknown = engine(catalog, tmp_path, DeadLink(dead=True))
    with pytest.raises(TimeoutError), unknown.intent("rename", "product.fde.t", to="product.fde.renamed", actor="root"):
        raise TimeoutError
    assert [i.operation for i in catalog.intents()] == ["rename"]
    assert catalog.get_table("product.fde.t")


def test_a_query_that_was_refused_is_told_of_as_failed(catalog: Catalog, tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    context = Context("ada", "product", "fde")
    session = Engine(cast(Any, DeadLink()), catalog, context, tmp_path, on_statement=lambda **s: told.append(s))
    for kind, name in (("CATALOG", "product"), ("SCHEMA", "product.fde")):
        grant(catalog, kind, name, "ada", f"USE {kind}")
    catalog.put_table(record("open", owner="ada"))
    assert session.prepare("SELECT * FROM open") is not None
    with pytest.raises(SqlError, match="INSUFFICIENT_PERMISSIONS"):
        session.prepare("SELECT * FROM open, t")
    assert [s["reads"] for s in told] == [["product.fde.open"]] * 2
    assert told[0]["error"] is None
    assert "INSUFFICIENT_PERMISSIONS" in told[1]["error"]


def test_a_table_keeps_its_partition_columns_however_many_commits_follow(catalog: Catalog, tmp_path: Path) -> None:
    log = tmp_path / "parts" / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text(json.dumps({"metaData": {"partitionColumns": ["day"], "configuration": {}}}))
    schema = T.StructType([T.StructField("id", T.LongType()), T.StructField("day", T.DateType())])
    reader = engine(catalog, tmp_path, cast(Any, SimpleNamespace(table_schema=lambda _: schema)))
    made = reader.read_columns(replace(record("parts"), storage_location=log.parent.as_uri()))
    for version in range(1, 31):
        (log / f"{version:020}.json").write_text(json.dumps({"commitInfo": {"operation": "WRITE"}}))
    for found in (made, reader.read_columns(made)):
        assert [c.partition_index for c in found.columns] == [None, 0]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a.b", "x" * 256])
@pytest.mark.parametrize("what", ["CATALOG `{}`", "SCHEMA product.`{}`", "TABLE product.fde.`{}` (id INT)"])
def test_a_name_that_the_service_does_not_take_is_refused(
    catalog: Catalog, tmp_path: Path, what: str, name: str
) -> None:
    with pytest.raises(SqlError) as caught:
        engine(catalog, tmp_path, DeadLink()).run("CREATE " + what.format(name))
    assert caught.value.error_class == "INVALID_PARAMETER_VALUE"
