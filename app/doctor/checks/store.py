"""The store: kind, whether it answers and can be written, its schema, and whether a restart loses it."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor.model import Finding, missing, ok
from app.doctor.setup import Setup
from app.store.base import StoreError
from app.store.look import StoreLook, look
from app.store.open import SCHEMA_VERSION

DATABASE = "databricks bundle deploy -t prod --var database_instance=NAME   # app cutover: its resource of a database"


def _look(setup: Setup) -> StoreLook | StoreError:
    def read() -> StoreLook | StoreError:
        try:
            return look(setup.settings.store_url)
        except StoreError as e:
            return e

    return setup.once("store", read)


def current(setup: Setup) -> bool:
    """Whether the store has this program's schema, so that opening it changes nothing."""
    found = _look(setup)
    return isinstance(found, StoreLook) and found.current


def find(setup: Setup) -> Iterator[Finding]:
    """What the store is, without opening it."""
    found = _look(setup)
    in_apps = setup.settings.in_databricks_apps
    if isinstance(found, StoreError):
        yield missing("store", str(found), DATABASE if in_apps else "export CUTOVER_STORE_URL=URL   # docs/settings.md")
        return
    yield ok("store", f"{found.kind} at {found.place} answers")
    if found.problem:
        fix = DATABASE if found.kind == "SQLite" else _grant(setup)
        yield missing("writing", found.problem, fix if in_apps or found.kind != "SQLite" else _folder(found))
    else:
        yield ok("writing", "it can be written")
    if found.newer:
        fix = f"python -m app.store.migrate {SCHEMA_VERSION}   # with the newer program"
        yield missing("schema", f"version {found.revision} is a newer program's; this one has {SCHEMA_VERSION}", fix)
    elif found.revision is None:
        yield ok("schema", f"none yet; the panel makes version {SCHEMA_VERSION} when it starts")
    elif not found.current:
        yield ok("schema", f"version {found.revision}; the panel brings it to {SCHEMA_VERSION} when it starts")
    else:
        yield ok("schema", f"version {found.revision}")
    if setup.settings.store_is_ephemeral:
        accepted = setup.migration.ephemeral_store_accepted
        seen = "SQLite on the app's own disk: the next restart loses audit log, approvals and journals"
        yield missing(
            "durability", seen + ("; the migration file accepts it" if accepted else ""), DATABASE, not accepted
        )


def _folder(found: StoreLook) -> str:
    return f"chmod u+rwX {found.place.removeprefix('sqlite:///')}   # or another CUTOVER_STORE_URL"


def _grant(setup: Setup) -> str:
    role = setup.principal().replace('"', '""')
    return f'GRANT CONNECT, CREATE ON DATABASE databricks_postgres TO "{role}"'
