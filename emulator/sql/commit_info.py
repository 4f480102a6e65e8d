"""Who committed to a Delta table: signed into each commit's user metadata, read back as the service's own columns.

Open-source Delta leaves `userName` and `job` of a commit empty, where the service fills them in. A session signs its
commits by the one setting that Delta keeps with a commit, and DESCRIBE HISTORY takes the signature apart again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa

SETTING = "spark.databricks.delta.commitInfo.userMetadata"
"""Delta's setting for the text that a session keeps with its commits."""

_MARK = "local_workspace"


def signature(principal: str, job: Mapping[str, str], metadata: str | None) -> str:
    """What a session of `principal` writes into its commits.

    job: fields of a history's `job`, empty outside of a job's run. metadata: what the session itself keeps with them.
    """
    return json.dumps({_MARK: {"userName": principal, "job": dict(job) or None, "userMetadata": metadata}})


def revealed(history: pa.Table) -> pa.Table:
    """A Delta history with each signature taken apart into `userName`, `job` and `userMetadata`."""
    names = history.column_names
    if not {"userName", "job", "userMetadata"} <= set(names):
        return history
    rows = history.select(["userName", "job", "userMetadata"]).to_pylist()
    for row in rows:
        row.update(_parsed(row["userMetadata"]))
    for name in ("userName", "job", "userMetadata"):
        at = names.index(name)
        field = history.schema.field(at)
        history = history.set_column(at, field, pa.array([row[name] for row in rows], field.type))
    return history


def _parsed(text: str | None) -> Mapping[str, object]:
    try:
        found = json.loads(text or "")
    except ValueError:
        return {}
    return found[_MARK] if isinstance(found, dict) and found.keys() == {_MARK} else {}
