"""What each writing step sends, as text: preview prints it and the engine executes it, so the two cannot differ."""

from __future__ import annotations

import json

from app.operations.definition import Observation
from app.operations.model import lacking
from app.operations.steps import (
    CopyTable,
    CreateView,
    DropScratch,
    DropView,
    FlipView,
    Grant,
    PauseSchedule,
    RenameBack,
    RenameTable,
    RestoreGrants,
    RestoreTags,
    RevokeGrants,
    RunJob,
    SetParameters,
    StartUpdate,
    Step,
    UnknownStep,
    UnpauseSchedule,
)
from app.operations.world import JobState
from databricks_client import statements
from databricks_client.quoting import quote_table


def sql(step: Step) -> str:
    """The one statement of a step that runs SQL. Raises UnknownStep for any other step."""
    match step:
        case RenameTable(source, target) | RenameBack(source, target):
            return statements.rename_table(source, target)
        case CreateView(view, over, comment=comment):
            return statements.create_view(view, over, comment)
        case FlipView(view, _, target):
            return statements.alter_view(view, target)
        case DropView(view):
            return statements.drop_view(view)
        case RestoreTags(view, tags):
            return statements.set_tags(view, dict(tags), "VIEW")
        case CopyTable(source, target, rows):
            limit = "" if rows is None else f" LIMIT {int(rows)}"
            return f"CREATE TABLE {quote_table(target)} AS {statements.view_query(source)}{limit}"
        case DropScratch(name, view):
            return f"DROP {'VIEW' if view else 'TABLE'} {quote_table(name)}"
        case _:
            raise UnknownStep(f"step {type(step).__name__} runs no SQL that operations know")


def sample(relation: str) -> str:
    """The query that shows that a name can be read in all its columns."""
    return f"{statements.view_query(relation)} LIMIT 1"


def rest(step: Step, observation: Observation) -> str:
    """Method, path and body of a step that calls REST. Raises UnknownStep for any other step."""
    match step:
        case PauseSchedule(job_id) | UnpauseSchedule(job_id):
            job = _job(observation, job_id)
            status = "PAUSED" if isinstance(step, PauseSchedule) else "UNPAUSED"
            held = json.loads(job.settings or "{}")
            several = isinstance(held, list)
            block = [{**t, "pause_status": status} for t in held] if several else {**held, "pause_status": status}
            return f"POST /api/2.2/jobs/update {_json({'job_id': job_id, 'new_settings': {job.block: block}})}"
        case SetParameters(job_id, _, values):
            changed = dict(values)
            sent = [{"name": n, "default": changed.get(n, v)} for n, v in _job(observation, job_id).parameters]
            return f"POST /api/2.2/jobs/update {_json({'job_id': job_id, 'new_settings': {'parameters': sent}})}"
        case RunJob(job_id, _, token):
            return f"POST /api/2.2/jobs/run-now {_json({'job_id': job_id, 'idempotency_token': token})}"
        case StartUpdate(pipeline_id):
            return f"POST /api/2.0/pipelines/{pipeline_id}/updates {_json(update_body(step))}"
        case RestoreGrants(relation, grants):
            changes = [{"principal": g.principal, "add": list(g.privileges)} for g in grants]
            return f"PATCH /api/2.1/unity-catalog/permissions/table/{relation} {_json({'changes': changes})}"
        case RevokeGrants(relation, grants):
            changes = [{"principal": g.principal, "remove": list(g.privileges)} for g in grants]
            return f"PATCH /api/2.1/unity-catalog/permissions/table/{relation} {_json({'changes': changes})}"
        case _:
            raise UnknownStep(f"step {type(step).__name__} makes no REST call that operations know")


def update_body(step: StartUpdate) -> dict[str, object]:
    """The body of the request that starts an update: only what was chosen."""
    chosen = {
        "full_refresh": step.full_refresh,
        "full_refresh_selection": list(step.full_refresh_selection),
        "refresh_selection": list(step.refresh_selection),
        "validate_only": step.validate_only,
    }
    return {k: v for k, v in chosen.items() if v}


def grants_to_give(has: tuple[Grant, ...], wanted: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """What has to be added; nothing is taken away, it may have been given on purpose meanwhile."""
    return lacking(has, wanted)


def _job(observation: Observation, job_id: int) -> JobState:
    for _, job in observation.jobs:
        if job.job_id == job_id:
            return job
    raise UnknownStep(f"job {job_id} is not one that the plan looked at")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
