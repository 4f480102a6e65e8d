"""A store that is locked, full or read-only while an operation runs: the file itself, at spread effects of both ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from app.operations.definition import Kind
from app.store import audit, connect
from app.store.base import StoreError
from app.store.connect import open_engine
from app.store.leases import LeaseLost
from app.store.operations import State
from tests.support.operations_histories import SMALL
from tests.support.operations_world import BACK, ERIN, NEW_JOB, OLD_JOB, Given

EVERY = 4
"""Every so many effects."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lock makes its caller wait for; what it is otherwise is told in test_store_limits."""
    monkeypatch.setattr(connect, "SQLITE_SECONDS", 0.01)
    monkeypatch.setattr(audit, "APPEND_SECONDS", 0.0)


@contextmanager
def locked(engine: Engine) -> Iterator[None]:
    other = open_engine(str(engine.url))
    with other.connect() as c:
        c.exec_driver_sql("BEGIN EXCLUSIVE")
        yield
        c.exec_driver_sql("ROLLBACK")
    other.dispose()


def _pragma(engine: Engine, wrong: str, right: str) -> Iterator[None]:
    """Each transaction begins with `wrong` until it is mended."""
    text = [wrong]

    def before(connection: Connection) -> None:
        connection.connection.driver_connection.execute(text[0])  # type: ignore[union-attr]

    event.listen(engine, "begin", before)
    yield
    text[0] = right


@contextmanager
def read_only(engine: Engine) -> Iterator[None]:
    yield from _pragma(engine, "PRAGMA query_only=ON", "PRAGMA query_only=OFF")


@contextmanager
def full(engine: Engine) -> Iterator[None]:
    """Not one page more than there is: the least that SQLite takes for a limit is what the file has."""
    with engine.connect() as c:
        c.exec_driver_sql("CREATE TABLE IF NOT EXISTS filler (x)")
        c.exec_driver_sql("PRAGMA max_page_count=1")
        for size in (4000, 100, 1):
            try:
                while True:
                    c.exec_driver_sql(f"INSERT INTO filler VALUES (zeroblob({size}))")
            except Exception as e:  # noqa: BLE001 (whatever SQLAlchemy calls it)
                assert "full" in str(e)
        c.exec_driver_sql("PRAGMA max_page_count=1000000")
    yield from _pragma(engine, "PRAGMA max_page_count=1", "PRAGMA max_page_count=1000000")


AWAY = {"locked": (locked, "locked"), "read-only": (read_only, "read-only"), "full": (full, "full")}


def ready(folder: Path, start: str) -> tuple[Given, str]:
    g = Given(open_engine(f"sqlite:///{folder / 'store.db'}"), migration=SMALL)
    operation = g.approved()
    if start == "cutover":
        return g, operation
    g.service.apply(operation, "worker")
    made = g.service.plan(Kind.ROLLBACK, {}, ERIN)
    return g, g.service.submit(made, ERIN, BACK)


def sides(g: Given) -> set[str]:
    served = g.world.served()
    return {served[t.name].split()[0] for t in SMALL.tables}


def is_whole(g: Given, side: str) -> bool:
    paused = [g.world.jobs[j].paused for j in (OLD_JOB, NEW_JOB)]
    return sides(g) == {side} and paused == ([False, True] if side == "old" else [True, False])


@pytest.mark.parametrize("start", ["cutover", "rollback"])
@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("for_good", [True, False])
def test_a_store_that_cannot_be_written_leaves_no_name_empty_and_nothing_mixed(
    tmp_path: Path, start: str, away: str, for_good: bool
) -> None:
    happens, word = AWAY[away]
    number, told = 1, 0
    while True:
        folder = tmp_path / str(number)
        folder.mkdir()
        g, operation = ready(folder, start)
        gone = happens(g.engine)
        before, since = g.world.attempts, [0.0]

        def begins(
            _: str, g: Given = g, gone: object = gone, at: int = before + number, since: list[float] = since
        ) -> None:
            if g.world.attempts == at - 1 and not since[0]:
                gone.__enter__()  # type: ignore[attr-defined]
                since[0] = g.slept + 0.001

        def mends(seconds: float, g: Given = g, gone: object = gone, since: list[float] = since) -> None:
            g._sleep(seconds)
            if not for_good and since[0] > 0 and g.slept - since[0] > 1:
                gone.__exit__(None, None, None)  # type: ignore[attr-defined]
                since[0] = -1.0

        g.world.watch(begins)
        try:
            g.service_with(sleep=mends).apply(operation, "worker")
        except (StoreError, LeaseLost) as e:
            told += word in str(e)
        if since[0] == 0.0:  # It had ended before.
            g.engine.dispose()
            break
        assert sides(g) in ({"old"}, {"new"}), number
        if since[0] > 0:
            gone.__exit__(None, None, None)
        g.world.undisturbed()
        g.clock.go_on(16)
        for record in g.service.left():
            g.service.bring_back(record.id, "worker")
        record = g.store.operations.get(operation)
        assert record is not None and record.state in (State.VERIFIED, State.UNDONE), (number, record)
        told += word in record.reason
        assert is_whole(g, "new" if (start, record.state) == ("cutover", State.VERIFIED) else "old"), number
        assert g.store.audit.verify().whole
        g.engine.dispose()
        number += EVERY
    assert number > 2 * EVERY
    assert told or not for_good, "its cause is in the reason or in the error"
