"""No request, however forged, makes the local workspace answer that it broke: every route, odd bodies and parameters."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
import types
from collections.abc import Iterator
from enum import Enum
from typing import Any, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.faults import Faults, Rule
from emulator.metadata import MANAGED, TableRecord
from emulator.records import Run, TaskRun, Update, Warehouse, now_ms
from emulator.rest import load_routes
from emulator.rest.control import rule_of_header
from emulator.rest.errors import ServiceError
from emulator.rest.http import ROUTES, Route
from emulator.rest.paging import encode_token
from emulator.rest.schema import fields_of, fields_of_dataclass
from emulator.sql.errors import SqlError
from emulator.workspace import Workspace
from tests.support.emulator_workspace import Caller, SqlHalf, workspace_in

load_routes()
EVERY = list(ROUTES.routes)
JOB, RUN, TASK, GROUP, USER, SERVICE = 101, 102, 103, 104, 105, 106
PIPELINE, UPDATE, WAREHOUSE = "p-1", "u-1", "w-1"
# What the service answers when it is well: 501 and 503 are said on purpose, by name.
FINE = {*range(200, 500), 501, 503}


class Sql(SqlHalf):
    """A SQL half in which REST finds what it asks for; every statement fails."""

    def table(self, name: str) -> Any:
        return self.catalog.get_table(name)

    def create_catalog(self, name: str, actor: str, comment: str | None) -> None:
        self.catalog.create_catalog(name, actor, comment)

    def create_schema(self, name: str, actor: str, comment: str | None) -> Any:
        return self.catalog.create_schema(name, actor, comment)

    def refuse(self, *_: Any, **__: Any) -> Any:
        raise SqlError("UNSUPPORTED_FEATURE", "no Spark")

    execute = drop_catalog = drop_schema = drop_table = refuse

    def unpublish(self, pipeline_id: str) -> None:
        return

    def cancel(self, key: str) -> None:
        return

    def hidden_schema(self, pipeline_id: str) -> str:
        return pipeline_id

    def spark_command(self, text: str) -> None:
        return


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = workspace_in(tmp_path_factory.mktemp("forged"))
    workspace.__dict__["sql"] = Sql(workspace.data, workspace.groups_of)
    workspace.sql_ready.set()
    yield workspace
    workspace.stopping.set()


def furnish(workspace: Workspace) -> None:
    """Objects that forged requests can hit, also after an earlier request took them away."""
    state, admin = workspace.state, "admin@example.com"
    notebook = {"task_key": "a", "notebook_task": {"notebook_path": "/Shared/none"}}
    schedule = {"quartz_cron_expression": "0 0 0 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}
    if state.job(JOB) is None:
        workspace.jobs.create({"name": "j", "tasks": [notebook], "schedule": schedule}, admin, job_id=JOB)
    if state.run(RUN) is None:
        job = state.job(JOB)
        assert job is not None
        ended = {"life_cycle_state": "TERMINATED", "result_state": "FAILED", "termination_code": "RUN_EXECUTION_ERROR"}
        run = Run(RUN, JOB, admin, "j", "ONE_TIME", 1, job.settings, 1, 2, **ended)  # type: ignore[arg-type]
        state.put_runs([run], [TaskRun(TASK, RUN, "a", notebook, **ended)])  # type: ignore[arg-type]
    if state.pipeline(PIPELINE) is None:
        spec = {"name": "p", "catalog": "c", "schema": "s", "libraries": [{"file": {"path": "/Shared/x.py"}}]}
        workspace.pipelines.create(spec, admin, pipeline_id=PIPELINE)
        state.put_update(Update(UPDATE, PIPELINE, "API_CALL", "COMPLETED", admin, now_ms(), spec))
    if state.warehouse(WAREHOUSE) is None:
        state.put_warehouse(Warehouse(WAREHOUSE, admin, "RUNNING", {"name": "w"}))
    for kind, name, id in (("group", "g", GROUP), ("user", "u@example.com", USER), ("service_principal", "s", SERVICE)):
        if state.principal(id) is None:
            state.create_principal(kind, name, name, id=id)
    if state.record("app", "panel") is None:
        Caller(workspace)("POST", "/api/2.0/apps", {"name": "panel"})
    workspace.files.put_file("/Shared/f.txt", b"x")
    catalog = workspace.sql.catalog
    if catalog.find_catalog("c") is None:
        catalog.create_catalog("c", admin, None)
    if catalog.find_schema("c", "s") is None:
        catalog.create_schema("c.s", admin)
    catalog.put_table(TableRecord("c", "s", "t", MANAGED, admin, None, 1, admin, 1, admin, "t-1"))
    workspace.faults.clear()


# -- odd values ------------------------------------------------------------------------------------------------------------

WORDS = [
    *("", " ", "²", "-1", "0", "1", "100000000000000000000", "9" * 5000, "1e3", "NaN", "null", "true", "[]", "{}"),
    *("%", "%%%", "..", "/", "//", "/Shared", "/Shared/f.txt", "/Users/admin@example.com/x", "a.b.c", "c.s", "c", "'"),
    *("e30", "bnVsbA", "W10", "LTE", "MS41", "dHJ1ZQ", encode_token(10**30), encode_token({"before": [1]})),
    *(encode_token({"pipeline_id": PIPELINE, "filter": 5, "order_by": "", "behind": [1, 2]}),),
    *("name LIKE '%'", "level = 'INFO'", "timestamp > '0001-01-01'", "userName eq x", "id in (" + "''," * 50 + "'')"),
    *(
        "America",
        "Mars/X",
        "0 0 0 ² * ?",
        "PYTHON",
        "SOURCE",
        "AUTO",
        "jobs",
        "directories",
        "TABLE",
        "x" * 3000,
        "é\0",
    ),
    *(str(n) for n in (JOB, RUN, TASK, GROUP, USER)),
    *(PIPELINE, UPDATE, WAREHOUSE, "panel", "admin@example.com", "g", "a", "tasks/a", "0s", "5s"),
]
words = st.sampled_from(WORDS) | st.text(max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, JOB, RUN, TASK, 2**63, -(2**63), 10**30, 0.5, 1e300, math.nan, math.inf])
    | words
)
odd = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(words | st.sampled_from(["value", "op", "path"]), inner, max_size=3)
    ),
    max_leaves=6,
)


# What is right for a field, or for a part of an address, by its name.
KNOWN: dict[str, list[Any]] = {
    "job_id": [JOB],
    "run_id": [RUN, TASK],
    "id": [GROUP, USER, SERVICE, WAREHOUSE, JOB, PIPELINE],
    "type": ["jobs", "pipelines", "warehouses", "directories", "apps"],
    "pipeline_id": [PIPELINE],
    "update_id": [UPDATE],
    "warehouse_id": [WAREHOUSE],
    "name": ["panel", "c", "new", "p"],
    "path": ["/Shared/f.txt", "/Shared", "/Users/u@example.com", "/Shared/new"],
    "path:path": ["Shared/f.txt", "Shared/g.txt"],
    "full_name": ["c.s", "c", "c.s.t"],
    "securable_type": ["catalog", "schema", "table"],
    "catalog_name": ["c"],
    "schema_name": ["s"],
    "user": ["u@example.com"],
    "userName": ["u@example.com", "new@example.com"],
    "displayName": ["g", "new"],
    "user_name": ["u@example.com"],
    "group_name": ["g"],
    "principal": ["u@example.com", "g"],
    "statement": ["SELECT 1"],
    "statement_id": ["none"],
    "catalog": ["c"],
    "schema": ["s"],
    "task_key": ["a", "b"],
    "quartz_cron_expression": ["0 0 0 * * ?"],
    "timezone_id": ["UTC", "America/New_York"],
    "filter": ["level = 'INFO'", "name LIKE 'p'", 'displayName eq "g"', "timestamp > '2026-01-01T00:00:00Z'"],
    "order_by": ["timestamp asc", "name desc"],
    "wait_timeout": ["0s", "5s"],
    "fields_to_remove": [["tasks/a"], ["schedule"]],
    "libraries": [[{"file": {"path": "/Shared/x.py"}}]],
    "members": [[{"value": str(USER)}], []],
    "Operations": [
        [{"op": "add", "path": "members", "value": [{"value": str(USER)}]}],
        [{"op": "remove", "path": f'members[value eq "{USER}"]'}],
        [{"op": "replace", "value": {"displayName": "new"}}],
    ],
    "content": ["eA=="],
    "language": ["PYTHON", "SQL"],
    "share": [0.5],
    "page_token": ["", encode_token(0), encode_token(1), encode_token({"before": [1, 2]})],
}
OPTIONAL = ("id", "filter", "order_by", "page_token")


def like(kind: Any, name: str = "", depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that are of a type, and now and then of another."""
    origin, inner = get_origin(kind), get_args(kind)
    if depth > 4 or kind is Any:
        return odd
    if origin in (Union, types.UnionType):
        return like(next(a for a in inner if a is not type(None)), name, depth)
    right: st.SearchStrategy[Any] = words
    if origin is list:
        right = st.lists(like(inner[0], "", depth + 1), max_size=2)
    elif origin is dict:
        right = st.dictionaries(words, like(inner[1], "", depth + 1), max_size=2)
    elif inspect.isclass(kind) and issubclass(kind, Enum):
        right = st.sampled_from([e.value for e in kind])
    elif dataclasses.is_dataclass(kind) and isinstance(kind, type):
        right = st.deferred(lambda: whole(kind, depth + 1))
    elif kind is bool:
        right = st.booleans()
    elif kind in (int, float):
        right = st.sampled_from([0, 1, 2, 24, JOB, RUN, GROUP, 2**62, str(JOB)])
    if name in KNOWN:
        right = mostly(st.sampled_from(KNOWN[name]), right, 4)
    return mostly(right, odd)


def mostly(right: st.SearchStrategy[Any], wrong: st.SearchStrategy[Any], times: int = 20) -> st.SearchStrategy[Any]:
    return st.sampled_from(range(times)).flatmap(lambda n: wrong if n == times - 1 else right)


def whole(kind: type, depth: int) -> st.SearchStrategy[Any]:
    hints = fields_of_dataclass(kind)
    needed = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]  # type: ignore[arg-type]
    required = {n: like(hints[n], n, depth) for n in needed}
    return some_of({n: like(h, n, depth) for n, h in hints.items()}, 3).flatmap(
        lambda some: st.fixed_dictionaries(required).map(lambda must: {**some, **must})
    )


def some_of(fields: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    if not fields:
        return st.just({})
    return st.lists(st.sampled_from(sorted(fields)), max_size=most, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({n: fields[n] for n in names})
    )


@st.composite
def requests(draw: st.DrawFn, route: Route) -> tuple[str, str, Any, Any, str]:
    """A request for the route with at most one part forged, beside what is odd within its fields."""
    forged = draw(st.sampled_from(["fields"] * 6 + ["path", "query", "body", "kind", "missing"]))
    known = fields_of(route.sdk) if route.sdk is not None else dict(route.body)
    path = ""
    for part in re.split(r"(\{[a-z_]+(?::path)?\})", route.template):
        if part.startswith("{"):
            right = KNOWN.get(part.strip("{}"), ["panel"])
            path += str(draw(words if forged == "path" else st.sampled_from(right)))
        else:
            path += "/".join(seg.split("|")[-1] for seg in part.split("/"))
    named = [n for n in known if n in KNOWN and "{" + n + "}" not in route.template and n not in OPTIONAL]
    needed = {n: draw(like(known[n], n)) for n in named if forged != "missing"}
    fields = {**draw(some_of({n: like(h, n) for n, h in known.items()}, 4)), **needed}
    query = {n: v if isinstance(v, str) else json.dumps(v) for n, v in fields.items()} if route.in_query else {}
    if forged == "query":
        query |= draw(st.dictionaries(st.sampled_from([*route.query, "page_token", "limit", "odd"]), words, max_size=2))
    body = draw(odd | st.binary(max_size=40)) if forged == "body" else fields
    kind = "application/json" if forged != "kind" else draw(st.sampled_from(["multipart/form-data; boundary=x", ""]))
    return path, route.method, query, body, kind


@pytest.mark.parametrize("route", EVERY, ids=lambda r: f"{r.method} {r.template}")
def test_a_forged_request_is_refused_or_answered(local: Workspace, route: Route):
    call = Caller(local)

    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(requests(route))
    def forged(request: tuple[str, str, Any, Any, str]) -> None:
        furnish(local)
        path, method, query, body, kind = request
        status, document = call(method, path, body, query, kind)
        assert status in FINE, document

    forged()


@pytest.mark.parametrize(
    "path",
    [
        "/api/2.2/jobs/list",
        "/api/2.2/jobs/runs/list",
        "/api/2.0/pipelines",
        f"/api/2.0/pipelines/{PIPELINE}/events",
        f"/api/2.0/pipelines/{PIPELINE}/updates",
        "/api/2.1/unity-catalog/catalogs",
        "/api/2.0/sql/history/queries",
    ],
)
@pytest.mark.parametrize("value", [{}, [], None, -1, 10**30, 1.5, "1", True, {"before": [1]}, {"after": ["a", "b"]}])
def test_a_page_token_that_no_list_gave_is_refused(local: Workspace, path: str, value: Any):
    furnish(local)
    status, document = Caller(local)("GET", path, query={"page_token": encode_token(value)})
    assert (status, document["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "page token" in document["message"]


def nested(levels: int) -> dict[str, Any]:
    """A task in a task in a task ...: right in each field, and deeper than anything looks."""
    task: dict[str, Any] = {"task_key": "a"}
    for _ in range(levels):
        task = {"task_key": "a", "for_each_task": {"inputs": "[]", "task": task}}
    return task


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("GET", "/api/2.2/jobs/get", None, {"job_id": "1" + "0" * 20}),
        ("GET", "/api/2.2/jobs/list", None, {"offset": "-1"}),
        ("POST", "/api/2.2/jobs/run-now", {"job_id": 10**30}, ""),
        ("POST", "/api/2.2/jobs/run-now", {"job_id": 1.5}, ""),
        ("POST", "/emulator/tick", {"share": "much"}, ""),
        ("POST", "/emulator/tokens", {"user": ["a"]}, ""),
        ("POST", "/telemetry-ext", {"protoLogs": 5}, ""),
        ("POST", "/api/2.0/preview/scim/v2/Groups", {"displayName": "x", "members": [{"value": "²"}]}, ""),
        ("POST", "/api/2.0/preview/scim/v2/Groups", {"displayName": "x", "members": ["a"]}, ""),
        ("POST", "/api/2.2/jobs/create", {"name": "\ud800"}, ""),
        ("POST", "/api/2.2/jobs/create", b'{"tags":' * 900 + b"1" + b"}" * 900, ""),
        ("POST", "/api/2.2/jobs/create", b"[" * 100_000, ""),
        ("POST", "/api/2.2/jobs/create", {"tasks": [nested(200)]}, ""),
        ("POST", "/api/2.2/jobs/update", {"job_id": JOB, "fields_to_remove": [None]}, ""),
        ("GET", f"/api/2.0/pipelines/{PIPELINE}/events", None, {"filter": " AND ".join(["id = 'a'"] * 2000)}),
    ],
)
def test_what_no_record_can_hold_is_refused_as_malformed(
    local: Workspace, method: str, path: str, body: Any, query: Any
):
    furnish(local)
    status, document = Caller(local)(method, path, body, query)
    assert status == 400, document
    assert local.state.principal_named("x", "group") is None


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(odd | whole(Rule, 0))
def test_a_fault_in_a_header_is_a_rule_or_is_refused(value: Any):
    try:
        text = rule_of_header(json.dumps(value))
    except ServiceError as e:
        assert e.status == 400
        return
    Faults().hit("GET", "/api/2.2/jobs/list", sql="SELECT 1", header=text)
