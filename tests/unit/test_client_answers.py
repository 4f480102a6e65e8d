"""Every reader of the workspace gives what a damaged answer still says, or a WorkspaceError: never another exception,
never "nothing there".

Each reader gets a good answer of which one field after the other is damaged. What it then gives must be the same as
before (the field is not read), or differ in a way that is listed here.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from app.collect.flows import summarize
from app.config.migration import Roles
from app.operations.databricks import DatabricksWorld
from app.operations.requests import Call
from app.operations.steps import RunJob, StartUpdate
from app.store.collected.records import EventRecord
from databricks_client.billing import Billing
from databricks_client.errors import WorkspaceError
from databricks_client.identity import Identity
from databricks_client.jobs import Jobs
from databricks_client.lineage import Lineage
from databricks_client.links import Links
from databricks_client.pipelines import Pipelines
from databricks_client.rest import Patience, Rest
from databricks_client.sql import Sql
from databricks_client.statement_history import StatementHistory
from databricks_client.tables import Tables

T = 1_700_000_000_000
MOMENT = datetime(2026, 1, 5, tzinfo=UTC)
MISSING = object()
DAMAGE: tuple[tuple[str, Any], ...] = (
    ("missing", MISSING),
    ("null", None),
    ("text", "Zweck"),
    ("no text", ""),
    ("a control character", "a\0b"),
    ("a number", 7),
    ("a huge number", 10**30),
    ("a negative number", -1),
    ("a fraction", 1.5),
    ("no number", float("nan")),
    ("true", True),
    ("no list", []),
    ("a list of other things", [None, 3, "x", []]),
    ("no object", {}),
    ("an object", {"a": {"b": 1}}),
)


class Answers:
    """Stands for the client and the connector: answers by path or by a part of the statement."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.config = SimpleNamespace(workspace_id=None)
        self.api_client = self

    def do(self, method: str, path: str, *, raw: bool = False, query: Any = None, **_: Any) -> Any:
        found = self.answers[path]
        answer = found(query) if callable(found) else found
        if not raw:
            return answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return {"contents": io.BytesIO(body)}


class Rows(Sql):
    """Stands for the warehouse."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def query(self, text: str, *_: Any, **__: Any) -> Any:
        return next(rows for part, rows in self.answers.items() if part in text)


@dataclass(frozen=True)
class Parts:
    """The workspace over the damaged answers."""

    jobs: Jobs
    pipelines: Pipelines
    tables: Tables
    identity: Identity
    billing: Billing
    lineage: Lineage
    statement_history: StatementHistory
    world: DatabricksWorld

    def started(self, step: RunJob | StartUpdate) -> str:
        """The id in the answer to the step's request."""
        (call,) = step.requests(self.world)
        assert isinstance(call, Call)
        return self.world.send(call)


def parts(answers: dict[str, Any]) -> Parts:
    rest = Rest(Answers(answers), Patience(attempts=1))  # type: ignore[arg-type]
    links, sql, identity = Links("http://w"), Rows(answers), Identity(rest)
    return Parts(
        Jobs(rest, links), Pipelines(rest, links), Tables(rest, sql, links, identity), identity,
        Billing(sql, lambda: "77"), Lineage(sql), StatementHistory(sql), DatabricksWorld(SimpleNamespace(rest=rest)),  # type: ignore[arg-type]
    )  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """One way to read.

    answers: path or statement to its good answer; the one that `damaged` names is damaged.
    optional: fields that the service leaves out or sets to null where there is nothing to say.
    """

    name: str
    answers: dict[str, Any]
    damaged: str
    call: Callable[[Parts], Any]
    optional: frozenset[str] = frozenset()


SCHEDULE = {"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}
JOB = {
    "job_id": 5, "creator_user_name": "a@b", "run_as_user_name": "c@d",
    "settings": {
        "name": "J", "schedule": SCHEDULE, "max_concurrent_runs": 2,
        "parameters": [{"name": "p", "default": "v"}],
        "tasks": [
            {"task_key": "t", "notebook_task": {"notebook_path": "/n"}, "depends_on": [{"task_key": "s"}]},
            {"task_key": "s", "pipeline_task": {"pipeline_id": "p1"}},
        ],
    },
}  # fmt: skip
RUN = {
    "job_id": 5, "run_id": 9, "number_in_job": 3, "run_name": "n", "description": "d", "trigger": "PERIODIC",
    "state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED", "state_message": "m"},
    "start_time": T, "end_time": T + 5000, "run_duration": 5000, "queue_duration": 10, "run_page_url": "u",
    "tasks": [
        {"task_key": "t", "run_id": 10, "attempt_number": 1, "start_time": T, "end_time": T + 4000,
         "setup_duration": 1, "execution_duration": 2, "cleanup_duration": 1, "run_page_url": "u",
         "state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED", "state_message": "m"},
         "pipeline_task": {"pipeline_id": "p1"}},
    ],
}  # fmt: skip
RUN_OPTIONAL = {
    "number_in_job", "run_name", "description", "trigger", "state.result_state", "state.state_message", "end_time",
    "run_duration", "queue_duration", "run_page_url", "tasks", "tasks.attempt_number", "tasks.start_time",
    "tasks.end_time", "tasks.setup_duration", "tasks.execution_duration", "tasks.cleanup_duration",
    "tasks.run_page_url", "tasks.state.result_state", "tasks.state.state_message", "tasks.pipeline_task",
}  # fmt: skip
REPAIRED = {
    **RUN,
    "repair_history": [
        {"type": "ORIGINAL", "start_time": T, "end_time": T + 5000,
         "state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED"}},
        {"type": "REPAIR", "id": 7, "start_time": T + 9000, "end_time": T + 9500,
         "state": {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}},
    ],
}  # fmt: skip
REPAIRED_OPTIONAL = RUN_OPTIONAL | {"repair_history"} | {
    f"repair_history.{n}" for n in ("id", "start_time", "end_time", "state", "state.result_state")
}  # fmt: skip
UPDATE = {
    "pipeline_id": "p1", "update_id": "u1", "state": "COMPLETED", "cause": "API_CALL", "creation_time": T,
    "full_refresh": True, "validate_only": True, "refresh_selection": ["a"], "full_refresh_selection": ["b"],
    "config": {"tags": {"generated": "true"}},
}  # fmt: skip
UPDATE_OPTIONAL = {
    "pipeline_id", "cause", "full_refresh", "validate_only", "refresh_selection", "full_refresh_selection", "config",
    "config.tags", "config.tags.generated",
}  # fmt: skip
PROGRESS = {
    "flow_progress": {
        "status": "COMPLETED",
        "metrics": {"num_output_rows": 5, "num_upserted_rows": 2},
        "data_quality": {
            "dropped_records": 1,
            "expectations": [
                {"name": "e", "dataset": "d", "action": "drop", "passed_records": 4, "failed_records": 1},
            ],
        },
    },
}
PROGRESS_OPTIONAL = {
    "flow_progress", "flow_progress.status", "flow_progress.metrics", "flow_progress.metrics.num_output_rows",
    "flow_progress.metrics.num_upserted_rows", "flow_progress.data_quality",
    "flow_progress.data_quality.dropped_records", "flow_progress.data_quality.expectations",
    "flow_progress.data_quality.expectations.dataset", "flow_progress.data_quality.expectations.action",
    "flow_progress.data_quality.expectations.passed_records", "flow_progress.data_quality.expectations.failed_records",
}  # fmt: skip
EVENT = {
    "id": "e1", "timestamp": "2026-01-05T00:00:00.000Z", "level": "WARN", "event_type": "flow_progress",
    "message": "m", "origin": {"pipeline_id": "p1", "update_id": "u1", "dataset_name": "d", "flow_name": "f"},
    "details": PROGRESS, "error": {"fatal": True},
}  # fmt: skip
EVENT_OPTIONAL = {
    "level", "message", "origin", "origin.pipeline_id", "origin.update_id", "origin.dataset_name", "origin.flow_name",
    "details", "error", "error.fatal", *(f"details.{p}" for p in PROGRESS_OPTIONAL),
}  # fmt: skip
TABLE = {
    "full_name": "c.s.t", "table_type": "MANAGED", "owner": "o", "pipeline_id": "p1", "table_id": "i",
    "view_definition": "SELECT 1", "comment": "k", "storage_location": "s3://x", "created_at": T, "updated_at": T,
    "properties": {"a": "b"}, "row_filter": {"function_name": "c.s.f"},
    "columns": [
        {"name": "a", "type_text": "int", "nullable": False, "comment": "x", "mask": {"function_name": "c.s.m"}},
    ],
    "table_constraints": [
        {"primary_key_constraint": {"name": "pk", "child_columns": ["a"]}},
        {"foreign_key_constraint": {"name": "fk", "child_columns": ["a"], "parent_table": "c.s.p"}},
        {"named_table_constraint": {"name": "n"}},
    ],
}  # fmt: skip
TABLE_OPTIONAL = {
    "owner", "pipeline_id", "table_id", "view_definition", "comment", "storage_location", "created_at", "updated_at",
    "properties", "properties.a", "row_filter", "columns", "columns.nullable", "columns.comment", "columns.mask",
    "table_constraints", "table_constraints.primary_key_constraint", "table_constraints.foreign_key_constraint",
    "table_constraints.named_table_constraint",
}  # fmt: skip
ME = {"id": "7", "userName": "a@b", "displayName": "A", "active": True, "groups": [{"display": "g", "value": "1"}]}
USER_OPTIONAL = {"displayName", "groups", "groups.display"}
CATALOG = "/api/2.1/unity-catalog"
SCIM = "/api/2.0/preview/scim/v2"
HELD = {"privilege_assignments": [{"principal": "a@b", "privileges": [{"privilege": "SELECT"}]}]}
ROLES = Roles(viewer=("v",), operator=("nest",), approver=("a",))
HISTORY = [
    {"version": 3, "timestamp": MOMENT, "operation": "WRITE", "operationMetrics": {"numOutputRows": "5"}},
]
USAGE = [
    {
        "record_id": "r", "record_type": "ORIGINAL", "usage_start_time": MOMENT, "usage_end_time": MOMENT,
        "sku_name": "JOBS", "usage_unit": "DBU", "usage_quantity": Decimal("1.5"), "list_price": "0.15",
        "billing_origin_product": "JOBS", "job_id": "5", "job_run_id": "9", "pipeline_id": "p1", "update_id": "u1",
        "maintenance_id": "m", "serverless": True, "photon": False, "dlt_tier": "CORE",
        "custom_tags": {"generated": "true"},
    },
]  # fmt: skip
USAGE_OPTIONAL = {
    "list_price", "billing_origin_product", "job_id", "job_run_id", "pipeline_id", "update_id", "maintenance_id",
    "serverless", "photon", "dlt_tier", "custom_tags", "custom_tags.generated",
}  # fmt: skip


def under(prefix: str, names: set[str]) -> frozenset[str]:
    return frozenset({f"{prefix}.{n}" for n in names} | {prefix})


def scim(*entries: Any) -> dict[str, Any]:
    return {"totalResults": len(entries), "Resources": list(entries)}


GROUPS = {
    f"{SCIM}/Users": scim(ME),
    f"{SCIM}/Groups": lambda query: (
        scim({"id": "40", "displayName": "nest", "members": [{"value": "50", "$ref": "Groups/50"}]})
        if "nest" in query["filter"]
        else scim()
    ),
    f"{SCIM}/Groups/50": {"id": "50", "displayName": "in", "members": [{"value": "7", "$ref": "Users/7"}]},
}
SECURABLES = {
    f"{SCIM}/Me": ME,
    **{f"{CATALOG}/{k}": {"owner": "boss"} for k in ("catalogs/c", "schemas/c.s", "tables/c.s.t")},
    **{f"{CATALOG}/effective-permissions/{k}": HELD for k in ("catalog/c", "schema/c.s", "table/c.s.t")},
}
INFORMATION = {
    "table_tags": [{"tag_name": "x", "tag_value": "y"}],
    "column_tags": [{"column_name": "a", "tag_name": "x", "tag_value": "y"}],
    "table_share_usage": [{"share_name": "z"}],
    "schema_share_usage": [{"share_name": "w"}],
    f"{SCIM}/Me": ME,
    f"{CATALOG}/metastore_summary": {"metastore_id": "m", "owner": "boss"},
    f"{CATALOG}/effective-permissions/metastore/m": {
        "privilege_assignments": [{"principal": "a@b", "privileges": [{"privilege": "USE_SHARE"}]}]
    },
    f"{CATALOG}/catalogs/c": {"owner": "a@b"},
    f"{CATALOG}/policies/TABLE/c.s.t": {
        "policies": [
            {
                "name": "hide",
                "policy_type": "POLICY_TYPE_ROW_FILTER",
                "for_securable_type": "TABLE",
                "on_securable_type": "CATALOG",
                "on_securable_fullname": "c",
                "when_condition": "has_tag('x')",
                "match_columns": [{"alias": "a", "condition": "has_tag('y')"}],
            }
        ]
    },
    f"{CATALOG}/tables/c.s.t": TABLE,
}
PERMISSIONS = {
    f"{SCIM}/Me": ME,
    "/api/2.0/permissions/pipelines/p1": {
        "access_control_list": [{"user_name": "a@b", "all_permissions": [{"permission_level": "CAN_RUN"}]}]
    },
    "/api/2.0/permissions/jobs/5": {"access_control_list": [{"user_name": "a@b"}]},
}


def reader(name: str, answers: Any, damaged: str, call: Callable[[Parts], Any], optional: Any = frozenset()) -> Reader:
    return Reader(name, answers if damaged in answers else {damaged: answers}, damaged, call, frozenset(optional))


READERS = [
    reader("a job", JOB, "/api/2.2/jobs/get", lambda p: p.jobs.get(5), {
        "creator_user_name", "run_as_user_name", "settings.schedule", "settings.schedule.pause_status",
        "settings.max_concurrent_runs", "settings.parameters", "settings.parameters.default", "settings.tasks",
        "settings.tasks.notebook_task", "settings.tasks.depends_on", "settings.tasks.pipeline_task"}),
    reader("a job by its name", {"/api/2.2/jobs/list": {"jobs": [{"job_id": 5, "settings": {"name": "J"}}]},
        "/api/2.2/jobs/get": JOB}, "/api/2.2/jobs/list", lambda p: p.jobs.find("J")),
    reader("a run", RUN, "/api/2.2/jobs/runs/get", lambda p: p.jobs.run(9), RUN_OPTIONAL),
    reader("a run with its history", REPAIRED, "/api/2.2/jobs/runs/get", lambda p: p.jobs.run(9, history=True),
        REPAIRED_OPTIONAL),
    reader("runs", {"runs": [RUN]}, "/api/2.2/jobs/runs/list", lambda p: p.jobs.runs_page(5),
        under("runs", RUN_OPTIONAL)),
    reader("active runs", {"runs": [RUN]}, "/api/2.2/jobs/runs/list", lambda p: p.jobs.active_runs(5),
        under("runs", RUN_OPTIONAL)),
    reader("the error of a task", {"error": "e"}, "/api/2.2/jobs/runs/get-output", lambda p: p.jobs.task_error(9),
        {"error"}),
    reader("rights on a job", PERMISSIONS, "/api/2.0/permissions/jobs/5", lambda p: p.jobs.may_manage(5)),
    reader("the id of a started run", {"run_id": 3}, "/api/2.2/jobs/run-now", lambda p: p.started(RunJob(5, "J", "t"))),
    reader("a pipeline", {"pipeline_id": "p1", "name": "P", "state": "IDLE", "creator_user_name": "c",
        "run_as_user_name": "r", "spec": {"name": "P", "catalog": "c", "schema": "s", "configuration": {"a": "b"}}},
        "/api/2.0/pipelines/p1", lambda p: p.pipelines.get("p1"), {
        "state", "creator_user_name", "run_as_user_name", "spec.catalog", "spec.schema",
        "spec.configuration", "spec.configuration.a"}),
    reader("a pipeline by its name", {"/api/2.0/pipelines": {"statuses": [{"pipeline_id": "p1", "name": "P"}]},
        "/api/2.0/pipelines/p1": {"pipeline_id": "p1", "spec": {"name": "P"}}}, "/api/2.0/pipelines",
        lambda p: p.pipelines.find("P")),
    reader("an update", {"update": UPDATE}, "/api/2.0/pipelines/p1/updates/u1",
        lambda p: p.pipelines.update("p1", "u1"), {f"update.{n}" for n in UPDATE_OPTIONAL}),
    reader("updates", {"updates": [UPDATE]}, "/api/2.0/pipelines/p1/updates", lambda p: p.pipelines.updates_page("p1"),
        under("updates", UPDATE_OPTIONAL)),
    reader("updates after", {"updates": [UPDATE]}, "/api/2.0/pipelines/p1/updates",
        lambda p: p.pipelines.updates_after("p1", ()), under("updates", UPDATE_OPTIONAL)),
    reader("active updates", {"updates": [{**UPDATE, "state": "RUNNING"}]}, "/api/2.0/pipelines/p1/updates",
        lambda p: p.pipelines.active_updates("p1"), under("updates", UPDATE_OPTIONAL)),
    reader("the last write", {"updates": [{**UPDATE, "validate_only": False}]}, "/api/2.0/pipelines/p1/updates",
        lambda p: p.pipelines.last_write("p1"), under("updates", UPDATE_OPTIONAL)),
    reader("events", {"events": [EVENT]}, "/api/2.0/pipelines/p1/events", lambda p: p.pipelines.events_page("p1"),
        under("events", EVENT_OPTIONAL)),
    reader("the id of a started update", {"update_id": "u"}, "/api/2.0/pipelines/p1/updates",
        lambda p: p.started(StartUpdate("p1", "P"))),
    reader("a table", TABLE, f"{CATALOG}/tables/c.s.t", lambda p: p.tables.state("c.s.t"),
        TABLE_OPTIONAL | {"full_name"}),
    reader("grants", {"privilege_assignments": [{"principal": "a", "privileges": ["SELECT"]}]},
        f"{CATALOG}/permissions/table/c.s.t", lambda p: p.tables.grants("c.s.t"), {"privilege_assignments"}),
    reader("tags", INFORMATION, "table_tags", lambda p: p.tables.hangers("c.s.t"), {"tag_value"}),
    reader("column tags", INFORMATION, "column_tags", lambda p: p.tables.hangers("c.s.t"), {"tag_value"}),
    reader("shares", INFORMATION, "table_share_usage", lambda p: p.tables.hangers("c.s.t")),
    reader("shares of the schema", INFORMATION, "schema_share_usage", lambda p: p.tables.hangers("c.s.t")),
    reader("policies", INFORMATION, f"{CATALOG}/policies/TABLE/c.s.t", lambda p: p.tables.hangers("c.s.t"), {
        "policies", "policies.on_securable_type", "policies.on_securable_fullname", "policies.when_condition",
        "policies.match_columns", "policies.match_columns.alias"}),
    *(reader(f"what is visible ({path})", INFORMATION, path, lambda p: p.tables.hangers("c.s.t"),
        {"owner", "privilege_assignments", "privilege_assignments.privileges"})
      for path in (f"{CATALOG}/metastore_summary", f"{CATALOG}/effective-permissions/metastore/m",
                   f"{CATALOG}/catalogs/c")),
    reader("a history", HISTORY, "DESCRIBE HISTORY", lambda p: p.tables.history_head("c.s.t"),
        {"operationMetrics", "operationMetrics.numOutputRows"}),
    reader("a version of rows", HISTORY, "DESCRIBE HISTORY", lambda p: p.tables.rows_version("c.s.t"),
        {"operationMetrics", "operationMetrics.numOutputRows"}),
    reader("a count", [{"n": 3}], "count(*)", lambda p: p.tables.count("c.s.t")),
    *(reader(f"privileges ({path})", SECURABLES, path, lambda p: p.tables.swap_privileges("c.s.t"),
        {"owner", "privilege_assignments", "privilege_assignments.privileges"} | USER_OPTIONAL | {"active"})
      for path in SECURABLES),
    reader("who acts", ME, f"{SCIM}/Me", lambda p: p.identity.me(), USER_OPTIONAL | {"active"}),
    reader("a user", scim(ME), f"{SCIM}/Users", lambda p: p.identity.user("a@b"),
        {f"Resources.{n}" for n in USER_OPTIONAL | {"active"}}),
    reader("names of users", scim(ME), f"{SCIM}/Users", lambda p: p.identity.user_names()),
    *(reader(f"roles ({path})", GROUPS, path, lambda p: p.identity.roles_of("a@b", ROLES.groups),
        {"Resources.groups", "members", "members.$ref"}) for path in (f"{SCIM}/Users", f"{SCIM}/Groups/50")),
    reader("billing", USAGE, "system.billing.usage", lambda p: p.billing.usage([5], ["p1"], MOMENT, MOMENT),
        USAGE_OPTIONAL),
    reader("consumers", [{"table_name": "t", "kind": "JOB", "consumer_id": "5", "user_name": "u", "last_seen": MOMENT,
        "reads": 2}], "table_lineage", lambda p: p.lineage.consumers(["t"], MOMENT),
        {"kind", "consumer_id", "user_name"}),
    reader("task runs of updates", [{"update_id": "u", "task_run_id": 9}], "pipeline_update_timeline",
        lambda p: p.lineage.update_task_runs(["p1"], MOMENT)),
    reader("statements that were sent", [{"statement_id": "s", "at": MOMENT, "user_name": "u", "text": "SELECT 1"}],
        "system.query.history", lambda p: p.statement_history.containing("x", MOMENT, "1"), {"user_name", "text"}),
]  # fmt: skip


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every field of an answer, and every entry of its lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def damage(answer: Any, at: tuple[str | int, ...], value: Any) -> Any:
    broken = copy.deepcopy(answer)
    inner = broken
    for key in at[:-1]:
        inner = inner[key]
    if value is MISSING:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return broken


def name_of(at: tuple[str | int, ...]) -> str:
    return ".".join(k for k in at if isinstance(k, str))


def admissible(r: Reader, at: tuple[str | int, ...], kind: str, before: Any, value: Any) -> bool:
    """Whether a result that differs is what the damaged answer says."""
    if isinstance(at[-1], int):
        # A shorter list, another name in it, or a constraint of a kind that is not known, which is named as such.
        named = isinstance(before, str) and isinstance(value, str)
        return kind == "missing" or named or (name_of(at) == "table_constraints" and isinstance(value, dict))
    if kind in ("missing", "null") and name_of(at) in r.optional:
        # Where a list or an object decides, null is no way to say that there is none.
        return kind == "missing" or not isinstance(before, (list, dict)) or name_of(at) in NULL_DESCRIBES
    if (isinstance(before, str) and isinstance(value, str)) or name_of(at).startswith("events.error."):
        return True
    if kind == "no list" and (isinstance(before, list) or name_of(at) in ("operationMetrics", "custom_tags")):
        return True
    if name_of(at) in NULL_DESCRIBES and isinstance(value, dict):
        return True
    if isinstance(before, bool) or value is True:
        return isinstance(before, bool) and value is True
    if isinstance(before, (int, float, Decimal)) or (isinstance(before, str) and before.replace(".", "").isdigit()):
        return kind == "a number" or ((isinstance(before, (float, Decimal)) or "." in str(before)) and kind in (
            "a fraction", "a negative number", "a huge number"))  # fmt: skip
    return False


DESCRIBING = {
    "error", "origin", "details", "config", "config.tags", "properties", "spec.configuration", "custom_tags",
    "operationMetrics", *(f"details.{p}" for p in PROGRESS_OPTIONAL),
}  # fmt: skip
NULL_DESCRIBES = {
    f"{prefix}{n}"
    for n in DESCRIBING - {"details.flow_progress.data_quality.expectations"}
    for prefix in ("", "events.", "updates.", "update.")
}


@pytest.mark.parametrize("r", READERS, ids=[r.name for r in READERS])
def test_a_damaged_answer_gives_what_it_says_or_a_workspace_error(r: Reader) -> None:
    good = r.call(parts(r.answers))
    wrong: list[str] = []
    for at in places(r.answers[r.damaged]):
        before: Any = r.answers[r.damaged]
        for key in at:
            before = before[key]
        for kind, value in DAMAGE:
            answers = {**r.answers, r.damaged: damage(r.answers[r.damaged], at, value)}
            try:
                found = r.call(parts(answers))
            except WorkspaceError as e:
                assert "\n" not in str(e)
                continue
            except Exception as e:  # noqa: BLE001
                wrong.append(f"{name_of(at)} = {kind}: {type(e).__name__}: {e}")
                continue
            unread = found == good or getattr(found, "unknown", ())
            if not unread and not admissible(r, at, kind, before, value):
                wrong.append(f"{name_of(at)} = {kind}: {found}")
    assert not wrong, "\n".join(wrong)


BODIES = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"[{}]",
    b'"x"',
    b"5",
    b"true",
    b"{",
    b"<html>",
    b"\xff",
    b'{"a": NaN}',
    b"[" * 9999,
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "r", [r for r in READERS if r.damaged.startswith("/") and "started" not in r.name], ids=lambda r: str(r.name)
)
def test_a_body_that_is_no_object_is_an_error_and_never_nothing(r: Reader, body: bytes) -> None:
    try:
        found = r.call(parts({**r.answers, r.damaged: body}))
    except WorkspaceError as e:
        assert "\n" not in str(e)
    else:
        assert found.unknown, found  # Privileges that cannot be read are unknown, and not missing.


@pytest.mark.parametrize("path", ["/api/2.2/jobs/get", "/api/2.2/jobs/runs/get", "/api/2.0/pipelines/p1",
                                  "/api/2.0/pipelines/p1/updates/u1", f"{CATALOG}/tables/c.s.t", f"{SCIM}/Me",
                                  f"{SCIM}/Users", "/api/2.0/permissions/jobs/5"])  # fmt: skip
def test_an_object_without_fields_is_an_error_where_one_thing_was_asked_for(path: str) -> None:
    for r in READERS:
        if r.damaged == path and not r.name.startswith(("privileges", "roles")):
            with pytest.raises(WorkspaceError, match="is missing"):
                r.call(parts({**r.answers, path: {}}))


def test_a_list_that_is_left_out_is_empty() -> None:
    found = parts({key: {} for key in ["/api/2.2/jobs/runs/list", "/api/2.0/pipelines/p1/updates", f"{CATALOG}/permissions/table/c.s.t"]})  # fmt: skip
    assert found.jobs.active_runs(5) == () == found.pipelines.updates_after("p1", ())
    assert found.tables.grants("c.s.t") == frozenset()


@pytest.mark.parametrize("r", [r for r in READERS if r.name in ("active runs", "updates after", "grants", "a job")],
                         ids=lambda r: str(r.name))  # fmt: skip
def test_a_list_whose_page_token_repeats_is_an_error_and_no_endless_loop(r: Reader) -> None:
    with pytest.raises(WorkspaceError, match="would never end"):
        r.call(parts({**r.answers, r.damaged: {**r.answers[r.damaged], "next_page_token": "again"}}))


@pytest.mark.parametrize("answer", [{"run_id": "x"}, {}, {"run_id": 0}, []])
def test_an_answer_that_hides_what_a_call_did_is_uncertain(answer: Any) -> None:
    with pytest.raises(WorkspaceError) as e:
        parts({"/api/2.2/jobs/run-now": answer}).started(RunJob(5, "J", "t"))
    assert e.value.uncertain


def test_an_update_in_a_state_that_is_not_known_counts_as_one_that_may_write() -> None:
    answers = {"/api/2.0/pipelines/p1/updates": {"updates": [{**UPDATE, "state": "THAWING"}]}}
    assert [u.state for u in parts(answers).pipelines.active_updates("p1")] == ["THAWING"]


def test_damaged_details_of_a_stored_event_are_a_workspace_error() -> None:
    for at in places(PROGRESS):
        for _, value in DAMAGE:
            event = EventRecord("p1", "e1", "u1", MOMENT, "INFO", "flow_progress", "m", None,
                                damage(PROGRESS, at, value), None)  # fmt: skip
            try:
                summarize("u1", [event])
            except WorkspaceError as e:
                assert "read event e1" in str(e)
