"""Statements that change something, by the statement execution API: any process can look at one and cancel it.

The connector's protocol gives a statement to the session that sent it alone: once that process is gone nobody can end
it, and the service documents no other way ("must be used for the entire lifecycle of the statement"). Here the first
answer names the statement, and until then the query history has it under the name in its comment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from urllib.parse import quote

import requests

from databricks_client.answers import Answer
from databricks_client.connection import STATEMENT_SECONDS, Attempt, GivenUp, NoAnswer, chain
from databricks_client.errors import WorkspaceError, from_sql
from databricks_client.fencing import NotSent, given_up, unfenced
from databricks_client.rest import Rest
from databricks_client.running import RUNNING, Tag, tag_of, tagged

STATEMENTS = "/api/2.0/sql/statements"
HISTORY = "/api/2.0/sql/history/queries"

ANSWER_SECONDS = 5
"""How long the service keeps the first answer back for the statement's end: the least that it allows. Most statements
on names end within it, and cost one request; of the others the answer then gives the id."""

CANCEL_SECONDS = 15.0
"""How long a cancelled statement is waited for: the service says that a cancellation may fail silently."""

LOOK_SECONDS = 5.0
"""How long a statement whose first answer was lost is looked for in the query history."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two looks at a statement; they double from the first to the longest."""

OPEN = ("QUEUED", "STARTED", "COMPILING", "COMPILED", "RUNNING")
"""Of the query history: the statement has not ended."""

_ENDED = ("SUCCEEDED", "CLOSED", "FAILED", "CANCELED")
_PAST = {"FINISHED": "SUCCEEDED", "FAILED": "FAILED", "CANCELED": "CANCELED"}


@dataclass(frozen=True)
class Sent:
    """A statement that the query history shows as not ended. state: one of OPEN."""

    statement_id: str
    tag: Tag
    state: str
    text: str


class Unsettled(WorkspaceError):
    """Whether a statement will still take effect is unknown: it did not end when cancelled, or never showed.

    statement_id: empty where no answer gave one. text: the statement.
    """

    def __init__(self, what: str, cause: str, *, statement_id: str, text: str) -> None:
        super().__init__(
            what, cause, "look in the query history whether it still runs, and cancel it there", uncertain=True
        )
        self.statement_id = statement_id
        self.text = text


class StatementExecution:
    """Statements on one warehouse. Threads may share it. All methods raise WorkspaceError."""

    def __init__(
        self,
        rest: Rest,
        warehouse_id: str,
        sleep: Callable[[float], None] = time.sleep,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rest = rest
        self._warehouse_id = warehouse_id
        self._sleep = sleep
        self._ticks = ticks

    def run(self, text: str, *, what: str, seconds: float = STATEMENT_SECONDS) -> str:
        """Sends one statement, once, tagged with its owner, and waits for its end; gives its id.

        seconds: after that, or once the caller has given up (see `fencing`), it is cancelled and its end is waited for.
        Raises NotSent where the fence let nothing out; WorkspaceError with `uncertain` where it may have taken effect:
        read back; Unsettled where it may take effect later still.
        """
        return _Running(self, text, what, seconds).to_its_end()

    def open(self) -> list[Sent]:
        """Statements of this project that have not ended, on any warehouse, as far as the caller may see them."""
        # One status each, as the service advises; side by side, since this is on the way of every takeover.
        with ThreadPoolExecutor(len(OPEN)) as pool:
            futures = [pool.submit(copy_context().run, self._with_status, status) for status in OPEN]
            return [sent for future in futures for sent in future.result()]

    def find(self, name: str) -> str | None:
        """The id of the statement with this name in its comment that has not ended; None where there is none."""
        return next((s.statement_id for s in self.open() if s.tag.statement == name), None)

    def visible(self, statement_id: str) -> bool:
        """Whether the caller sees this statement in the query history, ended or not."""
        return self._past(statement_id) is not None

    def state(self, statement_id: str) -> str:
        """PENDING, RUNNING, SUCCEEDED, CLOSED (succeeded a while ago), FAILED or CANCELED."""
        try:
            return self._document(statement_id).inner("status").word("state")
        except WorkspaceError as e:
            if not (e.not_found or e.denied):
                raise
            # The result is kept for an hour and shown to its sender; the history longer, and to more.
            found = self._past(statement_id)
            if found is None:
                raise
            return _PAST.get(found, "RUNNING")

    def ended(self, statement_id: str) -> bool:
        """Whether it can take no effect any more."""
        return self.state(statement_id) in _ENDED

    def cancel(self, statement_id: str) -> None:
        """Requests its end. The answer says only that the request was received: look at its state."""
        with unfenced():
            self._rest.send(f"cancel statement {statement_id}", "POST", f"{_path(statement_id)}/cancel", {})

    def _document(self, statement_id: str) -> Answer:
        return self._rest.get(f"read statement {statement_id}", _path(statement_id))

    def _past(self, statement_id: str) -> str | None:
        query = {"filter_by.statement_ids": statement_id, "max_results": 1}
        page = self._rest.get("read the query history", HISTORY, query)
        return next((e.word("status") for e in page.objects("res")), None)

    def _with_status(self, status: str) -> list[Sent]:
        query = {"filter_by.statuses": status, "max_results": 100}
        return [
            Sent(entry.name("query_id"), tag, status, text)
            for page in self._rest.pages("read the query history", HISTORY, query)
            for entry in page.objects("res")
            if (tag := tag_of(text := entry.text_or_none("query_text") or "")) is not None
        ]


class _Running:
    """One statement from its sending to its end."""

    def __init__(self, api: StatementExecution, text: str, what: str, seconds: float) -> None:
        self._api = api
        self._what = what
        self._seconds = seconds
        self._sent = tagged(text)
        tag = tag_of(self._sent)
        self._name = tag.statement if tag is not None else ""
        self._until = api._ticks() + seconds
        self._id = ""

    def to_its_end(self) -> str:
        """Its id, once it has succeeded. Raises as `StatementExecution.run`."""
        with RUNNING.watch(self._cancel_if_known):
            state, document = self._submit()
            pause = FIRST_PAUSE
            while state not in _ENDED:
                if self._over():
                    return self._end(self._why())
                self._api._sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                try:
                    document = self._api._document(self._id)
                except WorkspaceError as e:
                    if not e.retryable:
                        return self._end(f"it cannot be looked at any more ({e.cause})")
                    continue
                state = document.inner("status").word("state")
        return self._outcome(state, document, "it was cancelled by someone else")

    def _submit(self) -> tuple[str, Answer | None]:
        body = {
            "statement": self._sent,
            "warehouse_id": self._api._warehouse_id,
            "wait_timeout": f"{ANSWER_SECONDS}s",
            "on_wait_timeout": "CONTINUE",
            "disposition": "INLINE",
            "format": "JSON_ARRAY",
        }
        attempt = Attempt(lambda: self._api._rest.send(self._what, "POST", STATEMENTS, body))
        try:
            answer = attempt.wait(max(0.1, self._until - self._api._ticks()), self._stopped)
            self._id = answer.name("statement_id")
            return answer.inner("status").word("state"), answer
        except NotSent:
            raise
        except WorkspaceError as e:
            if e.status is not None and not (e.status >= 500 and e.status != 503):
                e.uncertain = False  # Refused before it was accepted: by a limit, or by a warehouse that starts.
                raise
            if not e.uncertain:
                raise
            return self._look_for_it(e, gone=e.status is not None or not _timed_out(e))
        except (GivenUp, NoAnswer) as e:
            return self._look_for_it(e, gone=False)

    def _look_for_it(self, lost: Exception, gone: bool) -> tuple[str, None]:
        """The first answer was lost: the history says whether the statement came. gone: whether the request is over."""
        until = self._api._ticks() + LOOK_SECONDS
        problem: WorkspaceError | None = None
        while True:
            try:
                found = self._api.find(self._name) if self._name else None
            except WorkspaceError as e:
                problem, found = e, None
            else:
                problem = None
            if found is not None:
                self._id = found
                return "RUNNING", None
            if self._api._ticks() >= until:
                break
            self._api._sleep(LONGEST_PAUSE / 2)
        if problem is None and gone and isinstance(lost, WorkspaceError):
            raise lost  # It ended already, or never came: what it has done can be read back.
        cause = f"no answer from the workspace ({lost})" if not isinstance(lost, WorkspaceError) else lost.cause
        more = f", and the query history cannot be read ({problem.cause})" if problem is not None else ""
        raise Unsettled(self._what, f"{cause}{more}", statement_id="", text=self._sent) from lost

    def _end(self, why: str) -> str:
        """Cancels it and waits for its end. Its id, where it succeeded before the cancellation came."""
        until = self._api._ticks() + CANCEL_SECONDS
        problem = ""
        while True:
            try:
                self._api.cancel(self._id)
                document = self._api._document(self._id)
                state = document.inner("status").word("state")
            except WorkspaceError as e:
                problem = f" ({e.cause})"
            else:
                if state in _ENDED:
                    return self._outcome(state, document, why)
            if self._api._ticks() >= until:
                cause = f"{why}, and it did not end within {CANCEL_SECONDS:.0f} s of its cancellation{problem}"
                raise Unsettled(self._what, cause, statement_id=self._id, text=self._sent)
            self._api._sleep(LONGEST_PAUSE / 2)

    def _outcome(self, state: str, document: Answer | None, why: str) -> str:
        match state:
            case "SUCCEEDED" | "CLOSED":
                return self._id
            case "CANCELED":
                raise WorkspaceError(
                    self._what, f"{why}; it was cancelled", error_code="OPERATION_CANCELED", uncertain=True
                )
        error = document.inner("status").inner_or_none("error") if document is not None else None
        message = (error.text_or_none("message") if error is not None else None) or "it failed without a reason"
        raise from_sql(self._what, Exception(message if "[" in message else f"[FAILED] {message}"))

    def _over(self) -> bool:
        return self._api._ticks() >= self._until or self._stopped()

    def _stopped(self) -> bool:
        return RUNNING.ending or given_up()

    def _why(self) -> str:
        return "its execution was given up" if self._stopped() else f"no result within {self._seconds:.0f} s"

    def _cancel_if_known(self) -> None:
        if self._id:
            self._api.cancel(self._id)


def names(sent: Iterable[Sent]) -> str:
    """Statements in a sentence, with their text: for the person who has to look."""
    return "; ".join(f"{s.statement_id} ({s.state}): {s.text}" for s in sent)


def _timed_out(error: WorkspaceError) -> bool:
    return any(isinstance(e, (requests.ReadTimeout, NoAnswer)) for e in chain(error))


def _path(statement_id: str) -> str:
    return f"{STATEMENTS}/{quote(statement_id, safe='')}"
