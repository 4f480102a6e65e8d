"""Steps that end the old side: its job gets another name and loses its permissions, its kept tables are dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from app.operations import statements
from app.operations.job_access import given_back, limited, told
from app.operations.model import Model
from app.operations.requests import Call, Request, Statement
from app.operations.steps.base import Step, StepFailed, what_it_is
from app.operations.steps.jobs import update_job
from app.operations.world import AccessEntry, Relation, Seen, absent


@dataclass(frozen=True)
class RenameJob(Step):
    """Gives a job another name. Jobs are found by their id: names may repeat."""

    job_id: int
    job: str
    name: str

    @property
    def text(self) -> str:
        return f"Rename job {self.job} to {self.name}"

    @property
    def done_when(self) -> str:
        return f"job {self.job_id} is named {self.name}"

    @property
    def undone_by(self) -> str:
        return f"rename it to {self.job}"

    def is_done(self, seen: Seen) -> bool:
        now = seen.job(self.job, self.job_id).name
        if now not in (self.job, self.name):
            raise StepFailed(f"job {self.job_id} is named {now} now, neither {self.job} nor {self.name}")
        return now == self.name

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (update_job(f"rename job {self.job_id}", self.job_id, {"name": self.name}),)

    def leaves(self, before: Model) -> Model:
        return before.with_job(replace(before.job(self.job, self.job_id), name=self.name))


@dataclass(frozen=True)
class LimitAccess(Step):
    """Lets everyone only view a job, save its owner and the acting principal. before: who might do what, for the
    inverse."""

    job_id: int
    job: str
    before: tuple[AccessEntry, ...]

    @property
    def text(self) -> str:
        return f"Reduce the permissions on job {self.job} to CAN_VIEW, save its owner's and the executing principal's"

    @property
    def done_when(self) -> str:
        return f"only the owner and the executing principal may do more with job {self.job_id} than view it"

    @property
    def undone_by(self) -> str:
        return f"give back {told(self.before)}"

    def is_done(self, seen: Seen) -> bool:
        now = seen.job_access(self.job_id)
        return limited(now) == tuple(sorted(now.entries))

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (_set_access(self.job_id, limited(seen.job_access(self.job_id))),)

    def leaves(self, before: Model) -> Model:
        now = before.job_access(self.job_id)
        return before.with_access(self.job_id, replace(now, entries=limited(now)))


@dataclass(frozen=True)
class RestoreAccess(Step):
    """Gives principals back what they might do with a job. What others were given meanwhile stays."""

    job_id: int
    job: str
    entries: tuple[AccessEntry, ...]

    @property
    def text(self) -> str:
        return f"Give back on job {self.job}: {told(self.entries)}"

    @property
    def done_when(self) -> str:
        return f"everyone may do with job {self.job_id} at least that"

    @property
    def undone_by(self) -> str:
        return "reduce them to CAN_VIEW again"

    def is_done(self, seen: Seen) -> bool:
        now = seen.job_access(self.job_id)
        return given_back(now, self.entries) == tuple(sorted(now.entries))

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (_set_access(self.job_id, given_back(seen.job_access(self.job_id), self.entries)),)

    def leaves(self, before: Model) -> Model:
        now = before.job_access(self.job_id)
        return before.with_access(self.job_id, replace(now, entries=given_back(now, self.entries)))


@dataclass(frozen=True)
class DropBackup(Step):
    """Drops an old table that a cutover kept: by its name and its id, and never one that consumers read.

    served, over: the name that consumers read, and the table that a view of that name reads (None: a table has it).
    """

    name: str
    table_id: str
    served: str
    over: str | None

    @property
    def text(self) -> str:
        return f"Drop the old table {self.name}"

    @property
    def done_when(self) -> str:
        return f"nothing has the name {self.name}"

    @property
    def undone_by(self) -> str:
        return "none: within 7 days UNDROP TABLE brings a managed table back, after that nothing does"

    def is_done(self, seen: Seen) -> bool:
        found = seen.relation(self.name)
        if found.kind == "absent":
            return True
        self._check(found, seen.relation(self.served))
        return False

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        self._check(seen.relation(self.name), seen.relation(self.served))
        return (Statement(statements.drop_table(self.name)),)

    def leaves(self, before: Model) -> Model:
        if before.relation(self.name).kind != "table":
            raise ValueError(f"{self.name} is no table that can be dropped")
        return before.with_relations(absent(self.name))

    def _check(self, found: Relation, served: Relation) -> None:
        """Raises StepFailed unless this is the old table and something else is served."""
        if found.kind != "table" or found.table_id != self.table_id:
            raise StepFailed(f"{self.name} is not the old table: {what_it_is(found)}, with the id {found.table_id}")
        other = served.kind == "table" and served.table_id != self.table_id
        if not (other if self.over is None else served.kind == "view" and served.over == self.over):
            raise StepFailed(
                f"{self.name} is not dropped, {self.served} does not serve the new side: {what_it_is(served)}"
            )


def accesses_before(steps: Iterable[Step]) -> tuple[AccessEntry, ...]:
    """What the steps that limit access found of it when they were planned."""
    return tuple(e for s in steps if isinstance(s, LimitAccess) for e in s.before)


def _set_access(job_id: int, entries: tuple[AccessEntry, ...]) -> Call:
    listed = [{field: name, "permission_level": level} for field, name, level in entries]
    body: dict[str, Any] = {"access_control_list": listed}
    what = f"set permissions of job {job_id}"
    return Call(what, "PUT", f"/api/2.0/permissions/jobs/{job_id}", body, detail={"access": [list(e) for e in entries]})
