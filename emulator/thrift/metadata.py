"""What the metadata calls of the protocol list: catalogs, schemas, tables, columns and types, in the columns of JDBC.

Each takes the patterns of its call (see `like`) and lists what the session's principal may see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pyspark.sql import types as T

from emulator.metadata import MATERIALIZED_VIEW, STREAMING_TABLE, ColumnRecord, SchemaRecord, TableRecord
from emulator.sql.engine import Engine
from emulator.sql.rows import BOOLEAN, STRING, Rows, column_type

_INT = T.IntegerType()
_SHORT = T.ShortType()


def catalogs(engine: Engine) -> Rows:
    """GetCatalogs."""
    names = [c.name for c in engine.catalog.list_catalogs() if _visible(engine, "CATALOG", c.name)]
    return Rows.local([("TABLE_CAT", STRING)], [(name,) for name in names])


def schemas(engine: Engine, catalog: str | None, schema: str | None) -> Rows:
    """GetSchemas."""
    data = [(s.name, s.catalog_name) for s in _schemas(engine, catalog, schema)]
    names = {c.name for c in engine.catalog.list_catalogs() if like(catalog, c.name)}
    if like(schema, "information_schema"):
        data += [("information_schema", c) for c in names if _visible(engine, "CATALOG", c)]
    return Rows.local([("TABLE_SCHEM", STRING), ("TABLE_CATALOG", STRING)], sorted(data, key=lambda r: (r[1], r[0])))


def tables(
    engine: Engine, catalog: str | None, schema: str | None, table: str | None, table_types: Sequence[str] | None
) -> Rows:
    """GetTables. table_types: only these; all if there are none."""
    kinds = {
        "MANAGED": "TABLE",
        "EXTERNAL": "TABLE",
        MATERIALIZED_VIEW: "MATERIALIZED_VIEW",
        STREAMING_TABLE: "STREAMING_TABLE",
    }
    wanted = {kind.upper() for kind in table_types or []}
    data = []
    for t in _tables(engine, catalog, schema, table):
        kind = kinds.get(t.table_type, t.table_type)
        if not wanted or kind in wanted or t.table_type in wanted:
            data.append((*t.key, kind, t.comment or "", None, None, None, None, None))
    names = (
        "TABLE_CAT TABLE_SCHEM TABLE_NAME TABLE_TYPE REMARKS TYPE_CAT TYPE_SCHEM TYPE_NAME "
        "SELF_REFERENCING_COL_NAME REF_GENERATION"
    )
    return Rows.local([(name, STRING) for name in names.split()], data)


def table_types() -> Rows:
    """GetTableTypes."""
    kinds = ("TABLE", "VIEW", "MATERIALIZED_VIEW", "STREAMING_TABLE")
    return Rows.local([("TABLE_TYPE", STRING)], [(kind,) for kind in kinds])


def columns(engine: Engine, catalog: str | None, schema: str | None, table: str | None, column: str | None) -> Rows:
    """GetColumns."""
    fields: list[tuple[str, T.DataType]] = [
        ("TABLE_CAT", STRING),
        ("TABLE_SCHEM", STRING),
        ("TABLE_NAME", STRING),
        ("COLUMN_NAME", STRING),
        ("DATA_TYPE", _INT),
        ("TYPE_NAME", STRING),
        ("COLUMN_SIZE", _INT),
        ("BUFFER_LENGTH", T.ByteType()),
        ("DECIMAL_DIGITS", _INT),
        ("NUM_PREC_RADIX", _INT),
        ("NULLABLE", _INT),
        ("REMARKS", STRING),
        ("COLUMN_DEF", STRING),
        ("SQL_DATA_TYPE", _INT),
        ("SQL_DATETIME_SUB", _INT),
        ("CHAR_OCTET_LENGTH", _INT),
        ("ORDINAL_POSITION", _INT),
        ("IS_NULLABLE", STRING),
        ("SCOPE_CATALOG", STRING),
        ("SCOPE_SCHEMA", STRING),
        ("SCOPE_TABLE", STRING),
        ("SOURCE_DATA_TYPE", _SHORT),
        ("IS_AUTO_INCREMENT", STRING),
    ]
    data = [
        (*t.key, *_column_row(c))
        for t in _tables(engine, catalog, schema, table)
        for c in t.columns
        if like(column, c.name)
    ]
    return Rows.local(fields, data)


def type_info() -> Rows:
    """GetTypeInfo."""
    fields: list[tuple[str, T.DataType]] = [
        ("TYPE_NAME", STRING),
        ("DATA_TYPE", _INT),
        ("PRECISION", _INT),
        ("LITERAL_PREFIX", STRING),
        ("LITERAL_SUFFIX", STRING),
        ("CREATE_PARAMS", STRING),
        ("NULLABLE", _SHORT),
        ("CASE_SENSITIVE", BOOLEAN),
        ("SEARCHABLE", _SHORT),
        ("UNSIGNED_ATTRIBUTE", BOOLEAN),
        ("FIXED_PREC_SCALE", BOOLEAN),
        ("AUTO_INCREMENT", BOOLEAN),
        ("LOCAL_TYPE_NAME", STRING),
        ("MINIMUM_SCALE", _SHORT),
        ("MAXIMUM_SCALE", _SHORT),
        ("SQL_DATA_TYPE", _INT),
        ("SQL_DATETIME_SUB", _INT),
        ("NUM_PREC_RADIX", _INT),
    ]
    data = [
        (
            name,
            code,
            size,
            None,
            None,
            None,
            1,
            name == "STRING",
            3,
            name not in _NUMBERS,
            False,
            False,
            None,
            0,
            0,
            None,
            None,
            radix,
        )
        for name, (code, size, radix) in _JDBC.items()
    ]
    return Rows.local(fields, data)


def _visible(engine: Engine, kind: str, full_name: str) -> bool:
    return engine.catalog.can_see(engine.context.principal, kind, full_name)


def _schemas(engine: Engine, catalog: str | None, schema: str | None) -> Iterable[SchemaRecord]:
    for record in engine.catalog.all_schemas():
        if (
            like(catalog, record.catalog_name)
            and like(schema, record.name)
            and _visible(engine, "SCHEMA", record.full_name)
        ):
            yield record


def _tables(engine: Engine, catalog: str | None, schema: str | None, table: str | None) -> Iterable[TableRecord]:
    for found in _schemas(engine, catalog, schema):
        for record in engine.catalog.list_tables(found.full_name):
            if like(table, record.name) and _visible(engine, "TABLE", record.full_name):
                yield record


# JDBC's code, size and radix of each type.
_JDBC: dict[str, tuple[int, int | None, int | None]] = {
    "BOOLEAN": (16, 1, None),
    "TINYINT": (-6, 3, 10),
    "SMALLINT": (5, 5, 10),
    "INT": (4, 10, 10),
    "BIGINT": (-5, 19, 10),
    "FLOAT": (6, 7, 10),
    "DOUBLE": (8, 15, 10),
    "DECIMAL": (3, 38, 10),
    "STRING": (12, None, None),
    "CHAR": (1, None, None),
    "VARCHAR": (12, None, None),
    "BINARY": (-2, None, None),
    "DATE": (91, 10, None),
    "TIMESTAMP": (93, 29, None),
    "TIMESTAMP_NTZ": (93, 29, None),
    "ARRAY": (2003, None, None),
    "MAP": (2000, None, None),
    "STRUCT": (2002, None, None),
    "INTERVAL": (1111, None, None),
    "VARIANT": (1111, None, None),
    "VOID": (0, None, None),
}
_NUMBERS = {"TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL"}


def _column_row(c: ColumnRecord) -> tuple[Any, ...]:
    text = column_type(c)
    base = re.split(r"[(<\s]", text, maxsplit=1)[0]
    code, size, radix = _JDBC.get(base, (1111, None, None))
    digits = None
    if base == "DECIMAL":
        size, digits = (int(n) for n in text[8:-1].split(","))
    elif base in ("TINYINT", "SMALLINT", "INT", "BIGINT"):
        digits = 0
    nullable = 1 if c.nullable else 0
    return (
        c.name,
        code,
        text,
        size,
        None,
        digits,
        radix,
        nullable,
        c.comment or "",
        None,
        None,
        None,
        None,
        c.position,
        "YES" if c.nullable else "NO",
        None,
        None,
        None,
        None,
        "NO",
    )


def like(pattern: str | None, name: str) -> bool:
    """JDBC's pattern: `%` any text, `_` any letter, backslash takes the next literally; none or empty matches all."""
    if not pattern or pattern in ("%", "*"):
        return True
    parts = []
    escaped = False
    for char in pattern:
        if escaped:
            parts.append(re.escape(char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            parts.append({"%": ".*", "_": "."}.get(char, re.escape(char)))
    return re.fullmatch("".join(parts), name, re.I) is not None
