"""Changes of the store's schema: whole or not at all, back with all data, and one line for another program's schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from app import worker
from app.cli import main as cli
from app.cli.context import context
from app.store import migrate as module
from app.store.base import StoreError, metadata
from app.store.connect import open_engine
from app.store.migrate import BASE, MIGRATIONS, migrate
from app.store.open import SCHEMA_VERSION, Store, open_store
from tests.support import pages_seed
from tests.support.databases import content, is_whole
from tests.support.pages_open import MIGRATION, open_page, text_of


def test_going_back_and_up_again_keeps_every_record(store: Store) -> None:
    pages_seed.seed(store, MIGRATION, days=1)
    whole = content(store.engine)
    assert all(whole[t] for t in ("parity_runs", "parity_tables", "operations", "audit_log", "checklist_marks"))
    versions = [s.revision for s in module._scripts().walk_revisions(BASE, "head")][1:]
    for version in versions:
        migrate(store.engine, version)
        older = content(store.engine)
        for table, rows in older.items():
            assert [{k: r[k] for k in rows[0]} for r in whole[table]] == rows if rows else not whole[table], (
                version,
                table,
            )
    migrate(store.engine, "head")
    assert is_whole(store)
    for table, rows in content(store.engine).items():
        assert len(rows) == (len(whole[table]) if table in older else 0), table
    assert store.audit.verify().whole


def test_tables_that_an_earlier_program_left_unfinished_are_made_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    engine = open_engine(url)
    metadata.create_all(engine, tables=[metadata.tables[n] for n in ("audit_head", "audit_log", "operations")])
    engine.dispose()
    assert is_whole(open_store(url))


def test_tables_with_records_and_without_a_version_are_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    engine = open_engine(url)
    with engine.begin() as c:
        c.exec_driver_sql("CREATE TABLE leases (name TEXT)")
        c.exec_driver_sql("INSERT INTO leases VALUES ('mine')")
    with pytest.raises(StoreError, match="no version of the schema"):
        open_store(url)
    with engine.connect() as c:
        assert c.exec_driver_sql("SELECT name FROM leases").scalar_one() == "mine"


def newer(store: Store) -> None:
    with store.engine.begin() as c:
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")


LINE = "the store's schema has version 9999, this program knows none after"


def test_an_older_program_opens_no_newer_store_and_names_the_way_out(store: Store) -> None:
    newer(store)
    for act in (open_store, lambda url: migrate(open_engine(url), "head")):
        with pytest.raises(StoreError, match=LINE) as e:
            act(store.engine.url.render_as_string(hide_password=False))
        assert "\n" not in str(e.value) and "python -m app.store.migrate" in str(e.value)


def test_command_and_worker_answer_a_newer_store_in_one_line(
    store: Store, page_settings: None, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    newer(store)
    vars(context).clear()
    assert cli.main(["status"]) == 1
    err = capsys.readouterr().err
    assert LINE in err and err.count("\n") == 1
    assert worker.main() == 1
    assert [r.getMessage() for r in caplog.records if LINE in r.getMessage()]


def test_a_page_answers_a_newer_store_in_one_line(store: Store, page_settings: None) -> None:
    newer(store)
    shown = open_page("overview")
    assert not shown.exception and LINE in " ".join(e.value for e in shown.error) + text_of(shown)


def test_the_command_goes_back_and_up_and_refuses_what_it_does_not_know(
    store: Store, page_settings: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert module.main(["0002"]) == 0
    assert module.main(["head"]) == 0
    assert module.main(["0017"]) == 1
    assert "no version '0017' of the schema: it is one of 0001, 0002" in capsys.readouterr().err
    assert module.main([]) == 2
    assert store.leases.acquire("worker", "me", 60)
    assert module.main(["0002"]) == 1
    assert "worker me uses the store: stop it first" in capsys.readouterr().err


def test_the_store_knows_its_newest_migration_without_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION
