"""The commands of `cutover` by name; the module of one is imported when it runs or shows its help.

Start-up time is why: the modules behind all commands (Databricks SDK, SQLAlchemy, alembic, pydantic, rich) take 2 s of
processor time to import, the list of commands 0.1 s. For the same reason `app.context` and `app.cli` import within
functions what not every command uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "doctor": ("doctor", "Check workspace, permissions, data, roles and store, and name what mends each fault."),
    "init": ("init", "Draft a migration file from a job and a pipeline of the workspace; every guess is marked."),
    "status": ("status", "Show phases, late and next items, serving side, gates and unfinished operations."),
    "plan": ("operations", "Show what an operation would call and run, and its gates."),
    "cutover": ("operations", "Plan a cutover, show it and submit it for approval."),
    "approve": ("operations", "Approve another person's operation."),
    "accept-risk": ("operations", "Accept the risk of one gate that blocks, for another person's plan."),
    "apply": ("operations", "Submit a plan shown before and follow it to its end."),
    "resume": ("operations", "Continue an interrupted operation from the observed state."),
    "cancel": ("operations", "Withdraw an operation, or stop a running one and undo it."),
    "rollback": ("operations", "Make the old side serve again, in this process."),
    "account": ("operations", "Account for another person's rollback by break-glass."),
    "rehearse": ("operations", "Run cutover and rollback twice on scratch copies."),
    "start-update": ("operations", "Start an update of a pipeline."),
    "run": ("operations", "Run a job now."),
    "pause": ("operations", "Pause a job's schedule."),
    "unpause": ("operations", "Unpause a job's schedule."),
    "archive": ("operations", "Plan to archive the old job, show it and submit it for approval."),
    "unarchive": (
        "operations",
        "Plan to give the archived job its name and permissions back.",
    ),
    "drop-backup": ("operations", "Plan to drop one old table, show it and submit it for approval."),
    "by-hand": (
        "operations",
        "Show where every table is now, and the commands that finish by hand, forward and back.",
    ),
    "show": ("operations", "Show an operation with its steps, journal and approvals."),
    "operations": ("operations", "List submitted operations of the migration, newest first."),
    "worker": ("operations", "Collect, compare and execute operations until stopped."),
    "runs": ("collected", "List job runs and pipeline updates, or show one in full."),
    "compare": ("collected", "Compare run time, DBU and cost of the old and the new side over pairs of runs."),
    "consumers": ("collected", "List who was seen reading the tables."),
    "collect": ("collected", "Have the worker read every source of the workspace now."),
    "parity": ("parity", "Compare the tables of both sides and show the results."),
    "report": (
        "report",
        "Write a report of the whole state as one HTML page or JSON value.",
    ),
    "audit": ("audit", "Show, verify and export the audit log."),
    "store": ("store", "Back up, restore and check the store."),
    "incidents": ("health", "Show incidents and the health of both sides; close an incident."),
    "checklist": ("checklist", "Show, tick and sign deliverables, metrics and sign-offs."),
}
"""Each command's module of `app.cli` and its line in `cutover --help`: the first sentence of the command's own help."""

BRIEF = frozenset({"status", "show", "operations", "runs", "compare", "consumers", "audit", "checklist"})
"""Commands that read the store once, print and end."""


class Commands(Mapping[str, Any]):
    """The commands by name, in the order of help; reading one imports its module."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(name, COMMANDS[name][0])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _load(name: str, module: str) -> Any:
    """The command `name` of a module: one of the commands that it defines, or the group that it is."""
    part: typer.Typer = import_module(f"app.cli.{module}").app
    whole = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    whole.add_typer(part, name=name if part.registered_callback else None)
    return typer.main.get_group(whole).commands[name]


class CommandGroup(TyperGroup):
    """`cutover` itself; lists its commands without importing them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(commands=Commands(), **options)  # type: ignore[arg-type]

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of help."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the section "Commands" of the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
