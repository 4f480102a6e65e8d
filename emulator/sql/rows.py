"""What a statement gives back: a schema, and rows as Arrow tables, streamed from Spark or made here."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from emulator.dialect.names import if_need_be, literal
from emulator.metadata import ColumnRecord

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
    """Spark's schema as Arrow, as Spark Connect sends it; months stand for year-month intervals (see `readable`)."""
    fields = []
    for column in schema.fields:
        try:
            fields.append(to_arrow_schema(T.StructType([column]), timezone="UTC").field(0))
        except Exception:  # noqa: BLE001 - pyspark raises many kinds for a type without an Arrow form
            kind = pa.int32() if isinstance(column.dataType, T.YearMonthIntervalType) else pa.string()
            fields.append(pa.field(column.name, kind, column.nullable))
    return pa.schema(fields)


def holds_months(kind: T.DataType) -> bool:
    """Whether a year-month interval is in this type."""
    if isinstance(kind, T.YearMonthIntervalType):
        return True
    if isinstance(kind, T.ArrayType):
        return holds_months(kind.elementType)
    if isinstance(kind, T.MapType):
        return holds_months(kind.keyType) or holds_months(kind.valueType)
    return isinstance(kind, T.StructType) and any(holds_months(f.dataType) for f in kind.fields)


def readable(table: pa.Table) -> pa.Table:
    """The table with year-month intervals as their months: pyarrow knows that type's layout and has no class for it."""
    schema = pa.schema([pa.field(f.name, _months(f.type), f.nullable, f.metadata) for f in table.schema])
    batches = []
    for batch in table.to_batches():
        room = ctypes.create_string_buffer(256)
        batch._export_to_c(ctypes.addressof(room))
        batches.append(pa.RecordBatch._import_from_c(ctypes.addressof(room), schema))
    return pa.Table.from_batches(batches, schema=schema)


def _months(kind: pa.DataType) -> pa.DataType:
    if str(kind) == "month_interval":
        return pa.int32()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_months(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(
            kind.key_field.with_type(_months(kind.key_type)), kind.item_field.with_type(_months(kind.item_type))
        )
    if pa.types.is_struct(kind):
        return pa.struct([f.with_type(_months(f.type)) for f in kind])
    return kind


def spark_schema_of(schema: pa.Schema) -> T.StructType:
    """Arrow's schema as Spark's; times with a zone are TIMESTAMP, without one TIMESTAMP_NTZ."""
    return from_arrow_schema(schema, prefer_timestamp_ntz=True)


def type_text(kind: T.DataType) -> str:
    """The type as Databricks writes it in type_text: lower case, `decimal(10,2)`."""
    return str(kind.simpleString())


def sql_type(kind: T.DataType) -> str:
    """The type as a statement declares it: keywords in upper case, names of fields as they are, quoted if need be."""
    if isinstance(kind, T.ArrayType):
        return f"ARRAY<{sql_type(kind.elementType)}>"
    if isinstance(kind, T.MapType):
        return f"MAP<{sql_type(kind.keyType)}, {sql_type(kind.valueType)}>"
    if isinstance(kind, T.StructType):
        return f"STRUCT<{', '.join(f'{if_need_be(f.name)}: {_declaration(f)}' for f in kind.fields)}>"
    return type_text(kind).upper()


def _declaration(field: T.StructField) -> str:
    """What follows a field's name where it is declared."""
    comment = field.metadata.get("comment")
    return (
        sql_type(declared_type(field))
        + ("" if field.nullable else " NOT NULL")
        + (f" COMMENT {literal(comment)}" if comment else "")
    )


def declared_column(column: ColumnRecord) -> str:
    """The column as CREATE TABLE declares it."""
    return f"{if_need_be(column.name)} {_declaration(_field(column))}"


def column_type(column: ColumnRecord) -> str:
    """The column's type as CREATE TABLE declares it, without NOT NULL and comment."""
    return sql_type(declared_type(_field(column)))


def _field(column: ColumnRecord) -> T.StructField:
    return T.StructField.fromJson(json.loads(column.type_json))


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
            type_text=type_text(declared_type(field)),
            type_json=json.dumps(json.loads(field.json())),
            type_name=type_name(declared_type(field)),
            position=position,
            nullable=field.nullable,
            comment=field.metadata.get("comment"),
            partition_index=partitions.index(field.name) if field.name in partitions else None,
        )
        for position, field in enumerate(schema.fields)
    )


def declared_type(field: T.StructField) -> T.DataType:
    """CHAR and VARCHAR are strings with a note in Spark's metadata."""
    text = field.metadata.get("__CHAR_VARCHAR_TYPE_STRING")
    if text and isinstance(field.dataType, T.StringType):
        kind, size = text.rstrip(")").split("(")
        return T.CharType(int(size)) if kind == "char" else T.VarcharType(int(size))
    return field.dataType
