"""docs/permissions.md is the code's list of rights for the bundled migration; the bundle and the local workspace hold to it."""

from __future__ import annotations

from pathlib import Path

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.config.permissions import APP, EVERYBODY, as_markdown, needed
from tests.support.bundled_definitions import bundle

FOUND = needed(Migration.load(DEFAULT_MIGRATION))
FILE = Path(__file__).parents[2] / "docs" / "permissions.md"


def test_the_document_is_the_codes_list() -> None:
    text = FILE.read_text()
    assert text[text.index("## ") :] == as_markdown(FOUND), "write as_markdown(needed(...)) below the document's head"


def test_what_the_bundle_is_to_declare_it_declares() -> None:
    found = bundle()
    managed = {f"job {j.name}" for j in found.jobs.values()} | {f"pipeline {p.name}" for p in found.pipelines.values()}
    assert {n.on for n in FOUND if n.who == APP and n.right == "CAN_MANAGE"} <= managed
    assert [n.right for n in FOUND if n.who == EVERYBODY] == ["CAN_USE"]
    assert {p.level for p in found.apps["cutover"].permissions} == {"CAN_USE"}


def test_each_table_can_be_reached() -> None:
    held = {(n.right, n.on) for n in FOUND if n.who == APP}
    migration = Migration.load(DEFAULT_MIGRATION)
    names = [n for t in migration.tables for n in (t.baseline, t.candidate, t.development) if n]
    for name in names:
        catalog, schema, _ = name.split(".")
        assert ("USE CATALOG", f"catalog {catalog}") in held
        assert {("USE SCHEMA", f"schema {catalog}.{schema}"), ("SELECT", f"schema {catalog}.{schema}")} <= held


def test_names_are_quoted_in_statements() -> None:
    statement = next(n.by for n in FOUND if n.on == "schema product.fde" and n.right == "MANAGE")
    assert statement.startswith("GRANT MANAGE ON SCHEMA `product`.`fde` TO `")
