"""What a statement gives back: a schema, and rows as Arrow tables, streamed from Spark or made here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyspark.sql import types as T  # noqa: N812
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from emulator.catalog import ColumnRecord

STRING = T.StringType()
BOOLEAN = T.BooleanType()
LONG = T.LongType()


@dataclass
class Rows:
    """The result of one statement. `tables` may be walked once. modified: rows changed by DML, None for others."""

    schema: T.StructType
    tables: Iterator[pa.Table] = field(default_factory=lambda: iter(()))
    modified: int | None = None

    def collect(self) -> pa.Table:
        """All rows as one table."""
        parts = list(self.tables)
        return pa.concat_tables(parts) if parts else arrow_schema(self.schema).empty_table()

    @classmethod
    def none(cls) -> Rows:
        """What DDL gives: no columns, no rows."""
        return cls(T.StructType([]))

    @classmethod
    def local(cls, columns: Sequence[tuple[str, T.DataType]], data: Iterable[Sequence[Any]]) -> Rows:
        """Rows made here."""
        schema = T.StructType([T.StructField(name, kind, True) for name, kind in columns])
        rows = list(data)
        target = arrow_schema(schema)
        arrays = [pa.array([row[i] for row in rows], target.field(i).type) for i in range(len(columns))]
        return cls(schema, iter([pa.Table.from_arrays(arrays, schema=target)]))


def arrow_schema(schema: T.StructType) -> pa.Schema:
    """Spark's schema as Arrow, as Spark Connect sends it."""
    return to_arrow_schema(schema, timezone="UTC")


def spark_schema_of(schema: pa.Schema) -> T.StructType:
    """Arrow's schema as Spark's; times with a zone are TIMESTAMP, without one TIMESTAMP_NTZ."""
    return from_arrow_schema(schema, prefer_timestamp_ntz=True)


def type_text(kind: T.DataType) -> str:
    """The type as Databricks writes it in type_text: lower case, `decimal(10,2)`."""
    return kind.simpleString()


_TYPE_NAMES: dict[type[T.DataType], str] = {
    T.BooleanType: "BOOLEAN",
    T.ByteType: "BYTE",
    T.ShortType: "SHORT",
    T.IntegerType: "INT",
    T.LongType: "LONG",
    T.FloatType: "FLOAT",
    T.DoubleType: "DOUBLE",
    T.DecimalType: "DECIMAL",
    T.StringType: "STRING",
    T.CharType: "CHAR",
    T.VarcharType: "STRING",
    T.BinaryType: "BINARY",
    T.DateType: "DATE",
    T.TimestampType: "TIMESTAMP",
    T.TimestampNTZType: "TIMESTAMP_NTZ",
    T.ArrayType: "ARRAY",
    T.MapType: "MAP",
    T.StructType: "STRUCT",
    T.NullType: "NULL",
    T.DayTimeIntervalType: "INTERVAL",
    T.YearMonthIntervalType: "INTERVAL",
    T.CalendarIntervalType: "INTERVAL",
    T.VariantType: "VARIANT",
}


def type_name(kind: T.DataType) -> str:
    """The type as Unity's ColumnTypeName."""
    for known, name in _TYPE_NAMES.items():
        if type(kind) is known:
            return name
    return "USER_DEFINED_TYPE"


def columns_of(schema: T.StructType, partitions: Sequence[str] = ()) -> tuple[ColumnRecord, ...]:
    """Unity's column records for a table's schema."""
    return tuple(
        ColumnRecord(
            name=field.name,
            type_text=type_text(_declared(field)),
            type_json=json.dumps(json.loads(field.json())),
            type_name=type_name(_declared(field)),
            position=position,
            nullable=field.nullable,
            comment=field.metadata.get("comment"),
            partition_index=partitions.index(field.name) if field.name in partitions else None,
        )
        for position, field in enumerate(schema.fields)
    )


def _declared(field: T.StructField) -> T.DataType:
    """CHAR and VARCHAR are strings with a note in Spark's metadata."""
    text = field.metadata.get("__CHAR_VARCHAR_TYPE_STRING")
    if text and isinstance(field.dataType, T.StringType):
        kind, size = text.rstrip(")").split("(")
        return T.CharType(int(size)) if kind == "char" else T.VarcharType(int(size))
    return field.dataType
