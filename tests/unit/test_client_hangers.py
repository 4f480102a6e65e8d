"""What is attached to a table is either read whole or reported as unknown: nobody's blindness passes for absence."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.databricks import DatabricksWorld
from databricks_client.errors import WorkspaceError
from databricks_client.identity import Identity
from databricks_client.links import Links
from databricks_client.rest import Rest
from databricks_client.sql import Sql
from databricks_client.tables import Hangers, Tables

UC = "/api/2.1/unity-catalog"
POLICIES = f"{UC}/policies/TABLE/c.s.t"
TABLE = {"table_type": "MANAGED", "owner": "o", "table_id": "1", "columns": []}


class Service:
    """REST and SQL of a metastore: paths to answers, and parts of statements to rows."""

    def __init__(self, answers: dict[str, Any], rows: dict[str, list[dict[str, Any]]]) -> None:
        self.answers, self.rows, self.config, self.api_client = answers, rows, self, self
        self.workspace_id = None

    def do(self, method: str, path: str, *, raw: bool = False, query: Any = None, **_: Any) -> Any:
        import io
        import json

        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return {"contents": io.BytesIO(json.dumps(answer).encode())}

    def query(self, text: str, *_: Any, **__: Any) -> Any:
        return next((rows for part, rows in self.rows.items() if part in text), [])


class Warehouse(Sql):
    def __init__(self, service: Service) -> None:
        self.query = service.query  # type: ignore[assignment,method-assign]


def held(*privileges: str, by: str = "app") -> dict[str, Any]:
    return {"privilege_assignments": [{"principal": by, "privileges": [{"privilege": p} for p in privileges]}]}


def answers(**changed: Any) -> dict[str, Any]:
    """A principal that may see everything and a table that has nothing attached to it."""
    return {
        "/api/2.0/preview/scim/v2/Me": {"id": "1", "userName": "app", "active": True, "groups": []},
        f"{UC}/tables/c.s.t": TABLE,
        f"{UC}/metastore_summary": {"metastore_id": "m", "owner": "boss"},
        f"{UC}/effective-permissions/metastore/m": held("USE_SHARE"),
        f"{UC}/catalogs/c": {"owner": "boss"},
        f"{UC}/effective-permissions/catalog/c": held("MANAGE"),
        POLICIES: {"policies": []},
        **changed,
    }


def tables(found: dict[str, Any], rows: dict[str, list[dict[str, Any]]] | None = None) -> Tables:
    service = Service(found, rows or {})
    rest = Rest(service)  # type: ignore[arg-type]
    return Tables(rest, Warehouse(service), Links("http://w"), Identity(rest))


def hangers(found: dict[str, Any], rows: dict[str, list[dict[str, Any]]] | None = None) -> Hangers:
    return tables(found, rows).hangers("c.s.t")


def policy(name: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name, "policy_type": "POLICY_TYPE_COLUMN_MASK", "for_securable_type": "TABLE",
        "on_securable_type": "SCHEMA", "on_securable_fullname": "c.s", **values,
    }  # fmt: skip


def test_a_principal_that_sees_everything_finds_nothing_attached() -> None:
    assert hangers(answers()).unknown == ()


@pytest.mark.parametrize("privileges", [(), ("CREATE_CATALOG",), ("ALL_PRIVILEGES",)])
def test_shares_are_unknown_to_who_lacks_use_share_on_the_metastore(privileges: tuple[str, ...]) -> None:
    found = hangers(answers(**{f"{UC}/effective-permissions/metastore/m": held(*privileges)}))
    assert found.shares == ()
    (unknown,) = found.unknown
    assert unknown.startswith("shares: ") and unknown.endswith("GRANT USE SHARE ON METASTORE TO `app`")


def test_the_owner_of_the_metastore_sees_all_shares() -> None:
    changed = {f"{UC}/metastore_summary": {"metastore_id": "m", "owner": "app"}}
    assert hangers(answers(**changed, **{f"{UC}/effective-permissions/metastore/m": held()})).unknown == ()


def test_a_share_of_the_whole_schema_is_a_share_of_the_table() -> None:
    rows = {"table_share_usage": [{"share_name": "a"}], "schema_share_usage": [{"share_name": "b"}]}
    assert hangers(answers(), rows).shares == ("a", "b (the whole schema)")


@pytest.mark.parametrize("privileges", [(), ("SELECT", "USE_CATALOG"), ("ALL_PRIVILEGES",)])
def test_policies_of_the_catalog_are_unknown_to_who_may_not_see_them(privileges: tuple[str, ...]) -> None:
    (unknown,) = hangers(answers(**{f"{UC}/effective-permissions/catalog/c": held(*privileges)})).unknown
    assert "GRANT READ METADATA ON CATALOG `c` TO `app`" in unknown


@pytest.mark.parametrize("privilege", ["MANAGE", "READ_METADATA"])
def test_policies_are_known_to_who_manages_the_catalog_or_reads_its_metadata(privilege: str) -> None:
    assert hangers(answers(**{f"{UC}/effective-permissions/catalog/c": held(privilege)})).unknown == ()


def test_policies_that_cannot_be_listed_are_unknown() -> None:
    refused = WorkspaceError("read policies of c.s.t", "denied", status=403)
    (unknown,) = hangers(answers(**{POLICIES: refused})).unknown
    assert unknown.startswith("policies: ")


def test_what_cannot_be_asked_about_visibility_is_unknown() -> None:
    gone = WorkspaceError("read the metastore", "no such route", status=404)
    (unknown,) = hangers(answers(**{f"{UC}/metastore_summary": gone})).unknown
    assert "what the acting principal may see is unknown" in unknown


def test_a_policy_without_condition_is_lost_by_a_view_and_one_with_a_condition_may_be() -> None:
    listed = [
        policy("mask_all"),
        policy("mask_some", match_columns=[{"alias": "a", "condition": "has_tag('pii')"}]),
        policy("filter", policy_type="POLICY_TYPE_ROW_FILTER", on_securable_type="CATALOG", on_securable_fullname="c"),
        policy("gives", policy_type="POLICY_TYPE_GRANT"),
        policy("of volumes", for_securable_type="VOLUME"),
    ]

    class Part:
        def __init__(self) -> None:
            self.tables = tables(answers(**{POLICIES: {"policies": listed}}))
            self.sql = self

        def query(self, *_: Any, **__: Any) -> Any:
            return []

    world = DatabricksWorld(Part())  # type: ignore[arg-type]
    world._version = lambda _: None  # type: ignore[method-assign]
    world._workspace.tables.grants = lambda _: frozenset()  # type: ignore[method-assign]
    found = world.inspect("c.s.t")
    assert found.hangers == (
        ("row filter policy", "filter on catalog c"),
        ("column mask policy", "mask_all on schema c.s"),
    )
    assert found.unknown == (
        "policy gives on schema c.s: POLICY_TYPE_GRANT is not a known kind",
        "policy mask_some on schema c.s where has_tag('pii'): whether it reaches this table is not evaluated",
    )
