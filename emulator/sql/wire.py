"""Rows on the wire of the SQL protocol: Arrow as the client requests it, columns for those without, type codes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from databricks.sql.thrift_api.TCLIService import ttypes
from pyspark.sql import types as T
from pyspark.sql.types import VariantVal

from emulator.sql.rows import arrow_schema


@dataclass(frozen=True)
class WireTypes:
    """Which types the client takes as Arrow's own; the others travel as strings."""

    timestamps: bool = True
    decimals: bool = True
    complex: bool = True
    intervals: bool = False

    @classmethod
    def of(cls, requested: Any) -> WireTypes:
        """From TSparkArrowTypes; a field that is not set is False, as on the service."""
        if requested is None:
            return cls(timestamps=False, decimals=False, complex=False)
        return cls(
            bool(requested.timestampAsArrow),
            bool(requested.decimalAsArrow),
            bool(requested.complexTypesAsArrow),
            bool(requested.intervalTypesAsArrow),
        )


_IDS: dict[type[T.DataType], int] = {
    T.BooleanType: ttypes.TTypeId.BOOLEAN_TYPE,
    T.ByteType: ttypes.TTypeId.TINYINT_TYPE,
    T.ShortType: ttypes.TTypeId.SMALLINT_TYPE,
    T.IntegerType: ttypes.TTypeId.INT_TYPE,
    T.LongType: ttypes.TTypeId.BIGINT_TYPE,
    T.FloatType: ttypes.TTypeId.FLOAT_TYPE,
    T.DoubleType: ttypes.TTypeId.DOUBLE_TYPE,
    T.StringType: ttypes.TTypeId.STRING_TYPE,
    T.CharType: ttypes.TTypeId.CHAR_TYPE,
    T.VarcharType: ttypes.TTypeId.VARCHAR_TYPE,
    T.BinaryType: ttypes.TTypeId.BINARY_TYPE,
    T.DateType: ttypes.TTypeId.DATE_TYPE,
    T.TimestampType: ttypes.TTypeId.TIMESTAMP_TYPE,
    T.TimestampNTZType: ttypes.TTypeId.TIMESTAMP_TYPE,
    T.DecimalType: ttypes.TTypeId.DECIMAL_TYPE,
    T.ArrayType: ttypes.TTypeId.ARRAY_TYPE,
    T.MapType: ttypes.TTypeId.MAP_TYPE,
    T.StructType: ttypes.TTypeId.STRUCT_TYPE,
    T.NullType: ttypes.TTypeId.NULL_TYPE,
    T.DayTimeIntervalType: ttypes.TTypeId.INTERVAL_DAY_TIME_TYPE,
    T.YearMonthIntervalType: ttypes.TTypeId.INTERVAL_YEAR_MONTH_TYPE,
}


def table_schema(schema: T.StructType) -> Any:
    """The schema as TTableSchema."""
    columns = []
    for position, field in enumerate(schema.fields, 1):
        entry = ttypes.TPrimitiveTypeEntry(type=_IDS.get(type(field.dataType), ttypes.TTypeId.STRING_TYPE))
        if isinstance(field.dataType, T.DecimalType):
            entry.typeQualifiers = ttypes.TTypeQualifiers(
                qualifiers={
                    "precision": ttypes.TTypeQualifierValue(i32Value=field.dataType.precision),
                    "scale": ttypes.TTypeQualifierValue(i32Value=field.dataType.scale),
                }
            )
        columns.append(
            ttypes.TColumnDesc(
                columnName=field.name,
                typeDesc=ttypes.TTypeDesc(types=[ttypes.TTypeEntry(primitiveEntry=entry)]),
                position=position,
                comment=str(field.metadata.get("comment", "")),
            )
        )
    return ttypes.TTableSchema(columns=columns)


Converter = Callable[[pa.Array], pa.Array]


class Encoder:
    """Turns Spark's Arrow into what one client requested. zone: the session's time zone, for times as text."""

    def __init__(self, schema: T.StructType, types: WireTypes, zone: str = "UTC") -> None:
        self.schema = schema
        self.types = types
        self.zone = zone
        source = arrow_schema(schema)
        self._plans = [_plan(field.dataType, types, top=True) for field in schema.fields]
        fields = []
        for field, arrow, plan in zip(schema.fields, source, self._plans, strict=True):
            kind = pa.string() if plan is not None else _wire_type(arrow.type)
            name = field.dataType.simpleString().upper()
            metadata = {"Spark:DataType:SqlName": name, "Spark:DataType:JsonType": field.dataType.json()}
            fields.append(pa.field(field.name, kind, True, metadata))
        self.arrow_schema = pa.schema(fields)

    def table(self, table: pa.Table) -> pa.Table:
        """A table of Spark in the client's types."""
        columns = []
        for index, (column, plan) in enumerate(zip(table.columns, self._plans, strict=True)):
            target = self.arrow_schema.field(index).type
            if plan is None:
                columns.append(column if column.type == target else column.cast(target))
            else:
                columns.append(pa.array([None if v is None else plan(v) for v in _values(column)], pa.string()))
        return pa.Table.from_arrays(columns, schema=self.arrow_schema)

    def columns(self, table: pa.Table) -> list[Any]:
        """A table of Spark as TColumns (COLUMN_BASED_SET)."""
        return [
            _column(field.dataType, column) for field, column in zip(self.schema.fields, table.columns, strict=True)
        ]


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_struct(column.type) or pa.types.is_list(column.type) or pa.types.is_map(column.type):
        return list(column.to_pylist(maps_as_pydicts=None))
    return list(column.to_pylist())


def _wire_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_large_string(kind) else kind


def _plan(kind: T.DataType, types: WireTypes, top: bool) -> Callable[[Any], str] | None:
    """How values of this type become text; None if they travel as Arrow's own."""
    if isinstance(kind, T.VariantType):
        return lambda v: variant_text(v)
    if isinstance(kind, T.ArrayType | T.MapType | T.StructType):
        if types.complex and not _holds(kind, (T.VariantType, T.YearMonthIntervalType, T.CalendarIntervalType)):
            return None
        return lambda v: json.dumps(jsonable(v, kind), ensure_ascii=False, separators=(",", ":"))
    if isinstance(kind, T.YearMonthIntervalType | T.DayTimeIntervalType | T.CalendarIntervalType):
        return None if types.intervals and isinstance(kind, T.DayTimeIntervalType) else lambda v: interval_text(v, kind)
    if isinstance(kind, T.DecimalType) and not types.decimals:
        return lambda v: format(v, "f")
    if isinstance(kind, T.TimestampType | T.TimestampNTZType) and not types.timestamps:
        return time_text
    if type(kind) not in _IDS:
        return str
    return None


def _holds(kind: T.DataType, kinds: tuple[type[T.DataType], ...]) -> bool:
    if isinstance(kind, kinds):
        return True
    if isinstance(kind, T.ArrayType):
        return _holds(kind.elementType, kinds)
    if isinstance(kind, T.MapType):
        return _holds(kind.keyType, kinds) or _holds(kind.valueType, kinds)
    if isinstance(kind, T.StructType):
        return any(_holds(f.dataType, kinds) for f in kind.fields)
    return False


def variant_text(value: Any) -> str:
    """A VARIANT as JSON."""
    if isinstance(value, VariantVal):
        return str(value.toJson())
    return str(VariantVal(bytes(value["value"]), bytes(value["metadata"])).toJson())


def time_text(value: datetime) -> str:
    """A time as Spark casts it to STRING."""
    text = value.strftime("%Y-%m-%d %H:%M:%S")
    return text + (f".{value.microsecond:06d}".rstrip("0") if value.microsecond else "")


def interval_text(value: Any, kind: T.DataType) -> str:
    """An interval as the service's result has it: `1-2` (years-months) or `1 02:03:04.000000000`."""
    if isinstance(kind, T.YearMonthIntervalType):
        months = value if isinstance(value, int) else value[0]
        sign = "-" if months < 0 else ""
        return f"{sign}{abs(months) // 12}-{abs(months) % 12}"
    if isinstance(kind, T.CalendarIntervalType):
        months, days, nanos = value
        return f"{months} months {days} days {nanos / 1e9} seconds"
    micros = round(value / timedelta(microseconds=1)) if isinstance(value, timedelta) else int(value)
    sign = "-" if micros < 0 else ""
    seconds, fraction = divmod(abs(micros), 1_000_000)
    days, rest = divmod(seconds, 86400)
    return f"{sign}{days} {rest // 3600:02d}:{rest % 3600 // 60:02d}:{rest % 60:02d}.{fraction * 1000:09d}"


def jsonable(value: Any, kind: T.DataType) -> Any:
    """A nested value as JSON data, as the service writes complex types that travel as text."""
    if value is None:
        return None
    if isinstance(kind, T.ArrayType):
        return [jsonable(v, kind.elementType) for v in value]
    if isinstance(kind, T.MapType):
        pairs = value.items() if isinstance(value, dict) else value
        return {_key(k, kind.keyType): jsonable(v, kind.valueType) for k, v in pairs}
    if isinstance(kind, T.StructType):
        return {field.name: jsonable(value.get(field.name), field.dataType) for field in kind.fields}
    if isinstance(kind, T.VariantType):
        return json.loads(variant_text(value))
    if isinstance(kind, T.YearMonthIntervalType | T.DayTimeIntervalType | T.CalendarIntervalType):
        return interval_text(value, kind)
    if isinstance(value, Decimal):
        return float(value) if value != value.to_integral_value() else int(value)
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _key(value: Any, kind: T.DataType) -> str:
    inner = jsonable(value, kind)
    return inner if isinstance(inner, str) else json.dumps(inner)


def _column(kind: T.DataType, column: pa.ChunkedArray) -> Any:
    """One column as TColumn: values with a bitmap of NULLs (bit i of byte i // 8, from the low end)."""
    values = _values(column)
    nulls = bytearray((len(values) + 7) // 8)
    for index, value in enumerate(values):
        if value is None:
            nulls[index // 8] |= 1 << (index % 8)
    bitmap = bytes(nulls)

    def filled(blank: Any, convert: Callable[[Any], Any] | None = None) -> list[Any]:
        return [blank if v is None else (convert(v) if convert else v) for v in values]

    if isinstance(kind, T.BooleanType):
        return ttypes.TColumn(boolVal=ttypes.TBoolColumn(values=filled(False), nulls=bitmap))
    if isinstance(kind, T.ByteType):
        return ttypes.TColumn(byteVal=ttypes.TByteColumn(values=filled(0), nulls=bitmap))
    if isinstance(kind, T.ShortType):
        return ttypes.TColumn(i16Val=ttypes.TI16Column(values=filled(0), nulls=bitmap))
    if isinstance(kind, T.IntegerType):
        return ttypes.TColumn(i32Val=ttypes.TI32Column(values=filled(0), nulls=bitmap))
    if isinstance(kind, T.LongType):
        return ttypes.TColumn(i64Val=ttypes.TI64Column(values=filled(0), nulls=bitmap))
    if isinstance(kind, T.FloatType | T.DoubleType):
        return ttypes.TColumn(doubleVal=ttypes.TDoubleColumn(values=filled(0.0), nulls=bitmap))
    if isinstance(kind, T.BinaryType):
        return ttypes.TColumn(binaryVal=ttypes.TBinaryColumn(values=filled(b"", bytes), nulls=bitmap))
    plan = _plan(kind, WireTypes(False, False, False, False), top=True)
    return ttypes.TColumn(stringVal=ttypes.TStringColumn(values=filled("", plan or str), nulls=bitmap))
