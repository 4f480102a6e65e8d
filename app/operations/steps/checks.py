"""Steps that change nothing: they save what was there, and verify what the other steps did."""

from __future__ import annotations

from dataclasses import dataclass

from app.operations import statements
from app.operations.requests import Query, Request
from app.operations.steps.base import ReadingStep, listed, listed_grants, listed_values
from app.operations.world import Grant, Seen


@dataclass(frozen=True)
class SaveState(ReadingStep):
    """Writes down definitions, grants and schedules before the first write, so that they can be restored."""

    relations: tuple[str, ...]
    jobs: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"Save definitions and grants of {len(self.relations)} names and the schedules of {listed(self.jobs)}"


@dataclass(frozen=True)
class ConfirmUnchanged(ReadingStep):
    """Compares the tables with what the plan was made from, now that nothing can write any more."""

    relations: tuple[str, ...]
    fingerprint: str

    @property
    def only_once(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return f"Check that {len(self.relations)} names are unchanged since the plan was made"


@dataclass(frozen=True)
class VerifyServing(ReadingStep):
    """Reads back what a name serves: kind, definition, grants, and a sample query that must return.

    passing: true of a state that later steps leave behind: once journaled as seen it is not checked again.
    """

    relation: str
    over: str | None
    grants: tuple[Grant, ...]
    columns: tuple[str, ...] = ()
    passing: bool = False

    @property
    def only_once(self) -> bool:
        return self.passing

    @property
    def text(self) -> str:
        what = f"a view over {self.over}" if self.over else "a table of its own"
        return f"Verify that {self.relation} is {what}, can be read, and has the grants: {listed_grants(self.grants)}"

    @property
    def sample(self) -> Query:
        """The query that must return."""
        return Query(statements.sample_query(self.relation))

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (self.sample,)


@dataclass(frozen=True)
class VerifyOutcome(ReadingStep):
    """Reads everything back at the end: what each name serves (a view over what, or None for a table of its own), which
    schedules are on, and a job's parameters. Only this gives VERIFIED."""

    serving: tuple[tuple[str, str | None], ...]
    paused: tuple[tuple[int, str], ...]
    unpaused: tuple[tuple[int, str], ...]
    parameters: tuple[tuple[int, str, tuple[tuple[str, str], ...]], ...] = ()

    @property
    def text(self) -> str:
        off, on = listed(n for _, n in self.paused), listed(n for _, n in self.unpaused)
        given = "".join(f"; parameters of {job}: {listed_values(values)}" for _, job, values in self.parameters)
        return f"Verify the outcome: {len(self.serving)} names; paused: {off}; not paused: {on}{given}"


@dataclass(frozen=True)
class VerifySame(ReadingStep):
    """Compares row count and fingerprint of what a name serves with those of a copy that nothing touches."""

    relation: str
    reference: str

    @property
    def text(self) -> str:
        return f"Compare rows and fingerprint of {self.relation} with {self.reference}"
