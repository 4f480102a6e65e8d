"""What each principal needs in the workspace, as one list: docs/permissions.md is made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.config.migration import Migration
from databricks_client.quoting import quote

SYSTEM = ("system.billing", "system.lakeflow", "system.access", "system.query")
APP, DEPLOYER, EVERYBODY = "the app's service principal", "who deploys", "everybody with a role"


@dataclass(frozen=True)
class Needed:
    """One right of `who`: APP, DEPLOYER or EVERYBODY.

    on: what it is held on, in words. why: what stops without it. by: how it is given, a statement or where it is
    declared. required: whether a cutover is impossible without it. kind and name: of what it is held on, where a check
    can read who holds it: job (by its side), pipeline (by its environment), warehouse, catalog, schema or metastore.
    """

    who: str
    right: str
    on: str
    why: str
    by: str
    required: bool = True
    kind: str = ""
    name: str = ""

    def given_to(self, principal: str) -> str:
        """`by` for this principal: the statement with its name, quoted; else as it is."""
        return self.by.replace(PRINCIPAL, quote(principal))


PRINCIPAL = "`<application id of the app>`"
"""Stands in statements for who gets the right."""


def needed(migration: Migration) -> tuple[Needed, ...]:
    """Every right that the panel of this migration needs, and those of who deploys and uses it."""
    return (*_of_jobs(migration), *_of_data(migration), *_of_people())


def _of_jobs(migration: Migration) -> Iterator[Needed]:
    bundle, script = "databricks.yml", "`python -m scripts.new_job`"
    for side, why, by in (
        ("baseline", "pause it, read its permissions", bundle),
        ("candidate", "unpause it, set its parameters", script),
        ("development", "pause and unpause it", bundle),
    ):
        if (job := migration.jobs.get(side)) is not None:
            required = side != "development"
            yield Needed(APP, "CAN_MANAGE", f"job {job.name}", why, by, required, "job", side)
    for ref in migration.pipelines:
        yield Needed(
            APP, "CAN_MANAGE", f"pipeline {ref.name}", "start updates, read events", bundle,
            ref.environment == "production", "pipeline", ref.environment,
        )  # fmt: skip
    yield Needed(
        APP, "CAN_USE", "the SQL warehouse", "every comparison and every switch of a table", bundle, kind="warehouse"
    )


def _of_data(migration: Migration) -> Iterator[Needed]:
    schemas = dict.fromkeys(_schema(n) for t in migration.tables for n in (t.baseline, t.candidate))
    sandbox = dict.fromkeys(
        [migration.rehearsal_schema, *(_schema(t.development) for t in migration.tables if t.development)]
    )
    for catalog in dict.fromkeys(s.split(".")[0] for s in (*schemas, *sandbox)):
        yield _grant("USE CATALOG", "CATALOG", catalog, "nothing in it can be read without")
    for schema in schemas:
        for right, why in (
            ("USE SCHEMA", "nothing in it can be read without"),
            ("SELECT", "comparisons, counts"),
            ("CREATE TABLE", "the views that take the tables' places"),
            ("MANAGE", "rename tables, replace views, give grants back, roll back"),
        ):
            yield _grant(right, "SCHEMA", schema, why)
    for schema in sandbox:
        for right, why in (
            ("USE SCHEMA", "rehearsals and the development tables"),
            ("SELECT", "comparisons with the development tables"),
            ("CREATE TABLE", "scratch copies of a rehearsal"),
            ("MODIFY", "fill and remove scratch copies"),
            ("MANAGE", "rename scratch copies"),
        ):
            yield _grant(right, "SCHEMA", schema, why, required=False)
    yield _grant("USE CATALOG", "CATALOG", "system", "nothing in it can be read without", required=False)
    for schema in SYSTEM:
        why = {
            "system.billing": "run costs",
            "system.lakeflow": "which run started an update",
            "system.access": "who reads the tables",
            "system.query": "who uses time travel, streams or writes; anchors of the audit log",
        }[schema]
        yield _grant("USE SCHEMA", "SCHEMA", schema, why, required=False)
        yield _grant("SELECT", "SCHEMA", schema, why, required=False)
    for catalog in dict.fromkeys(s.split(".")[0] for s in schemas):
        why = "policies of others; without it the gate of attachments stays inconclusive"
        yield _grant("READ METADATA", "CATALOG", catalog, why)
    yield Needed(
        APP, "USE SHARE", "the metastore", "shares of others; without it the gate of attachments stays inconclusive",
        f"GRANT USE SHARE ON METASTORE TO {PRINCIPAL}", kind="metastore",
    )  # fmt: skip
    yield Needed(
        APP, "CONNECT, CREATE", "the database of the store", "records that outlive a restart", "databricks.yml"
    )


def _of_people() -> Iterator[Needed]:
    yield Needed(EVERYBODY, "CAN_USE", "app cutover", "open the panel", "databricks.yml")
    yield Needed(DEPLOYER, "CAN_MANAGE", "the old job", "give the app its right on it", "its owner or an administrator")
    yield Needed(DEPLOYER, "CAN_USE", "the SQL warehouse", "give the app its right on it", "its owner")
    for right in ("USE CATALOG", "USE SCHEMA", "CREATE TABLE"):
        yield Needed(
            DEPLOYER, right, "the schemas of both pipelines", "a pipeline publishes as who owns it", "their owners"
        )
    yield Needed(
        DEPLOYER, "the groups exist", "groups of the three roles", "a missing group ends a deployment halfway",
        "an administrator",
    )  # fmt: skip
    yield Needed(
        DEPLOYER, "may create apps, jobs and pipelines", "the workspace", "nothing is deployed without",
        "an administrator",
    )  # fmt: skip


def _grant(right: str, kind: str, name: str, why: str, required: bool = True) -> Needed:
    quoted = ".".join(quote(p) for p in name.split("."))
    by = f"GRANT {right} ON {kind} {quoted} TO {PRINCIPAL}"
    return Needed(APP, right, f"{kind.lower()} {name}", why, by, required, kind.lower(), name)


def _schema(table: str) -> str:
    return table.rsplit(".", 1)[0]


def as_markdown(found: tuple[Needed, ...]) -> str:
    """The list as the tables of docs/permissions.md, by who needs it."""
    parts = []
    for who in (APP, EVERYBODY, DEPLOYER):
        rows = [f"| {n.right} | {n.on} | {n.why} | {'yes' if n.required else 'no'} |" for n in found if n.who == who]
        head = "| right | on | for | a cutover needs it |\n|---|---|---|---|"
        parts.append(f"## {who[0].upper()}{who[1:]}\n\n{head}\n" + "\n".join(rows))
    statements = "\n".join(f"{n.by};" for n in found if n.by.startswith("GRANT "))
    parts.append(f"## Grants as statements\n\n```sql\n{statements}\n```")
    return "\n\n".join(parts) + "\n"
