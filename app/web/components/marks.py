"""Words and status marks of operations, steps, findings and comparisons."""

from __future__ import annotations

from dataclasses import dataclass

from app.operations.definition import Kind
from app.progress.evidence import Finding
from app.progress.standing import State as Standing
from app.store.operations import JournalEntry, OperationRecord, Phase, State
from app.store.parity_records import ParityState, ParityTable
from app.web.components.status import Mark, Tone, mark


@dataclass(frozen=True)
class Action:
    """One kind of operation on the page: its label, its icon, and its effect in one sentence."""

    kind: Kind
    word: str
    icon: str
    text: str


ACTIONS: tuple[Action, ...] = (
    Action(
        Kind.START_UPDATE,
        "Start update",
        ":material/refresh:",
        "Starts an update of a pipeline, of all or some tables; or only validates its code.",
    ),
    Action(
        Kind.RUN_NOW,
        "Run job now",
        ":material/play_arrow:",
        "Runs the old or the new job once, independent of its schedule.",
    ),
    Action(
        Kind.PAUSE, "Pause schedule", ":material/pause:", "Pauses a job's schedule: the job no longer starts by itself."
    ),
    Action(
        Kind.UNPAUSE,
        "Unpause schedule",
        ":material/resume:",
        "Unpauses a job's schedule: the job starts by itself again.",
    ),
    Action(
        Kind.REHEARSE,
        "Rehearse",
        ":material/theater_comedy:",
        "Cuts scratch copies over, back and over again, and compares them after each change.",
    ),
    Action(
        Kind.CUTOVER,
        "Cut over",
        ":material/swap_horiz:",
        "Pauses the old job, makes the new side serve all tables, unpauses the new job. Needs a second person.",
    ),
    Action(
        Kind.ROLLBACK,
        "Roll back",
        ":material/undo:",
        "Makes the old side serve again at once, then restores its tables and schedule. No parity gate applies.",
    ),
    Action(
        Kind.ARCHIVE,
        "Archive old job",
        ":material/archive:",
        "From a week after the cutover: keeps the old job paused, under another name, only to be viewed. Needs a second"
        " person.",
    ),
    Action(
        Kind.UNARCHIVE,
        "Bring old job back",
        ":material/unarchive:",
        "Gives the archived job its name and permissions back; it stays paused. Needs a second person.",
    ),
    Action(
        Kind.DROP_BACKUP,
        "Drop old table",
        ":material/delete_forever:",
        "From 30 days after the cutover: drops one old table that nothing serves or reads. No way back. Needs a second "
        "person.",
    ),
)
KINDS = {str(a.kind): a for a in ACTIONS}


def word_of(kind: str) -> str:
    """An operation's kind in words."""
    return KINDS[kind].word if kind in KINDS else kind.replace("-", " ")


def state_mark(record: OperationRecord, interrupted: bool = False) -> Mark:
    """An operation's state as a mark."""
    if interrupted:
        return Mark("interrupted", "bad")
    words: dict[State, Mark] = {
        State.PLANNED: Mark("planned", "quiet"),
        State.SUBMITTED: Mark("waiting for approval", "warn"),
        State.READY: Mark("waiting for the worker", "busy"),
        State.RUNNING: Mark("running", "busy"),
        State.VERIFIED: Mark("verified", "good"),
        State.UNDONE: Mark("failed, undone", "warn"),
        State.NEEDS_HUMAN: Mark("needs a person", "bad"),
    }
    return words.get(record.state) or mark(str(record.state))


def step_mark(entry: JournalEntry | None, interrupted: bool = False) -> Mark:
    """A step's state, from its journal entry."""
    if entry is None:
        return Mark("to do", "quiet")
    if entry.phase is Phase.INTENT and interrupted:
        return Mark("outcome unknown", "bad")
    return {
        Phase.INTENT: Mark("executing", "busy"),
        Phase.DONE: Mark("done", "good"),
        Phase.ALREADY: Mark("no change needed", "good"),
        Phase.RETRY: Mark("retrying", "busy"),
        Phase.FAILED: Mark("failed", "bad"),
        Phase.NOTE: Mark("note", "quiet"),
    }[entry.phase]


def finding_mark(finding: Finding, *, gate: bool = False) -> Mark:
    """The mark of a finding: a gate blocks unless it passes; a manual item is open until it is ticked."""
    if finding.passed:
        return mark("passed", "passes" if gate else "done")
    if gate:
        return mark("failed", "blocks") if finding.status == "fail" else Mark("blocks: unknown", "unknown")
    if finding.manual:
        return mark("open", "open")
    return mark("failed", "not met") if finding.status == "fail" else mark("inconclusive", "unknown")


def state_of_item(state: str) -> Mark:
    """Where an item of the checklist stands (`app.progress.standing.State`, or `reopened`), as a mark."""
    tones: dict[str, Tone] = {
        Standing.MET: "good",
        Standing.KEPT: "good",
        Standing.ACCEPTED: "warn",
        Standing.REGRESSED: "bad",
        Standing.NOT_MET: "bad",
        "reopened": "bad",
        Standing.OPEN: "quiet",
    }
    words: dict[str, str] = {Standing.MET: "done", Standing.ACCEPTED: "accepted deviation"}
    return Mark(words.get(state, str(state)), tones.get(state, "unknown"))


def verdict_mark(found: ParityTable | None) -> Mark:
    """A table's verdict, worded as in its report. A cancelled or missing comparison has no verdict."""
    if found is None or not found.verdict:
        return mark("never_compared")
    if found.state is ParityState.CANCELLED:
        return mark("cancelled")
    return mark(found.verdict, found.label.lower() if found.label else None)
