"""The module `dlt` in a pipeline's source: the older name of `pyspark.pipelines`, as far as Spark has the same thing.

`dlt.table` leaves open what it defines: a streaming table if its function reads a stream, else a materialized view. The
function can be called once every file is read, so that is when it is settled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from pyspark import pipelines as dp
from pyspark.pipelines.output import StreamingTable

SAME = ("append_flow", "create_auto_cdc_flow", "create_sink", "create_streaming_table")
LACKING = (
    "apply_changes", "apply_changes_from_snapshot", "create_auto_cdc_from_snapshot_flow", "create_feature_table",
    "create_streaming_live_table", "create_target_table", "expect", "expect_all", "expect_all_or_drop",
    "expect_all_or_fail", "expect_or_drop", "expect_or_fail", "on_event_hook",
)  # fmt: skip


def dlt_module(spark: Any, undecided: set[Callable[[], Any]]) -> ModuleType:
    """The module for one update. undecided: takes the functions of `dlt.table`, for `settled`.

    What Spark's pipelines lack raises NotImplementedError by its name when it is used.
    """
    module = ModuleType("dlt", "The older name of pyspark.pipelines.")
    for name in SAME:
        setattr(module, name, getattr(dp, name))
    for name in LACKING:
        setattr(module, name, _lacking(name))

    def table(query_function: Callable[[], Any] | None = None, **options: Any) -> Any:
        def outer(decorated: Callable[[], Any]) -> None:
            undecided.add(decorated)
            dp.materialized_view(**options)(decorated)

        return outer if query_function is None else outer(query_function)

    vars(module).update(
        table=table,
        view=dp.temporary_view,
        read=lambda name: spark.read.table(name),
        read_stream=lambda name: spark.readStream.table(name),
    )
    return module


def _lacking(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"dlt.{name} is not supported by the local workspace")

    return refuse


def settled(output: Any, function: Callable[[], Any], client: Any) -> Any:
    """The output of a `dlt.table`: a streaming table if what its function gives reads a stream. client: of Spark."""
    if not _streams(function()._plan.plan(client)):
        return output
    values = {field.name: getattr(output, field.name) for field in dataclasses.fields(output)}
    return StreamingTable(**values)


def _streams(message: Any) -> bool:
    return any(found.DESCRIPTOR.name == "Read" and found.is_streaming for found in _messages(message))


def _messages(message: Any) -> Iterator[Any]:
    """A message of the protocol and all that it holds."""
    from google.protobuf.message import Message  # type: ignore[import-untyped]

    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        items = value.values() if hasattr(value, "values") else [value] if isinstance(value, Message) else value
        for item in items:
            if isinstance(item, Message):
                yield from _messages(item)
