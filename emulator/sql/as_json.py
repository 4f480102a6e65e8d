"""A table's description as one JSON object, as `DESCRIBE TABLE EXTENDED ... AS JSON` gives it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import types as T

from emulator.metadata import TableRecord
from emulator.sql.rows import declared_type

_UNITS = {
    T.DayTimeIntervalType: ("day", "hour", "minute", "second"),
    T.YearMonthIntervalType: ("year", "month"),
}


def described_as_json(record: TableRecord) -> str:
    """What the service returns for a table or view whose columns were read just now."""
    fields = [T.StructField.fromJson(json.loads(c.type_json)) for c in record.columns]
    described = {
        "table_name": record.name,
        "catalog_name": record.catalog_name,
        "namespace": [record.schema_name],
        "schema_name": record.schema_name,
        "columns": [_field(f) for f in fields],
        "owner": record.owner,
        "created_time": datetime.fromtimestamp(record.created_at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "created_by": record.created_by,
        "type": record.table_type,
        "comment": record.comment,
        "view_text": record.view_definition,
        "provider": record.data_source_format.lower() if record.data_source_format and not record.is_view else None,
        "location": record.storage_location if record.table_type in ("MANAGED", "EXTERNAL") else None,
        "table_properties": dict(sorted(record.properties.items())) if record.properties else None,
    }
    return json.dumps({name: value for name, value in described.items() if value is not None}, ensure_ascii=False)


def _field(field: T.StructField) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": field.name,
        "type": _type(declared_type(field)),
        "nullable": field.nullable,
    }
    if field.metadata.get("comment"):
        out["comment"] = field.metadata["comment"]
    return out


def _type(kind: T.DataType) -> dict[str, Any]:
    if isinstance(kind, T.StructType):
        return {"name": "struct", "fields": [_field(f) for f in kind.fields]}
    if isinstance(kind, T.ArrayType):
        return {"name": "array", "element_type": _type(kind.elementType), "element_nullable": kind.containsNull}
    if isinstance(kind, T.MapType):
        return {
            "name": "map",
            "key_type": _type(kind.keyType),
            "value_type": _type(kind.valueType),
            "value_nullable": kind.valueContainsNull,
        }
    if isinstance(kind, T.DecimalType):
        return {"name": "decimal", "precision": kind.precision, "scale": kind.scale}
    if isinstance(kind, T.DayTimeIntervalType | T.YearMonthIntervalType):
        units = _UNITS[type(kind)]
        return {"name": "interval", "start_unit": units[kind.startField], "end_unit": units[kind.endField]}
    if isinstance(kind, T.CharType | T.VarcharType):
        return {"name": kind.typeName(), "length": kind.length}
    if isinstance(kind, T.StringType):
        return {"name": "string", "collation": kind.collation}
    return {"name": "timestamp_ltz" if isinstance(kind, T.TimestampType) else kind.simpleString()}
