"""The local workspace's `DESCRIBE TABLE EXTENDED ... AS JSON`: the validation package reads the types back from it."""

from __future__ import annotations

import json

from pyspark.sql import types as T

from emulator.dialect.parser import parse
from emulator.metadata import TableRecord
from emulator.sql.as_json import described_as_json
from emulator.sql.rows import columns_of
from validation.schema import columns_of_json, parse_type

ODD = T.StructType([T.StructField("a:int,b", T.IntegerType()), T.StructField("c`d>", T.StringType(), False)])
KINDS: dict[str, T.DataType] = {
    "decimal(12,2)": T.DecimalType(12, 2),
    "timestamp": T.TimestampType(),
    "timestamp_ntz": T.TimestampNTZType(),
    "string collate UNICODE_CI": T.StringType("UNICODE_CI"),
    "binary": T.BinaryType(),
    "interval day to second": T.DayTimeIntervalType(0, 3),
    "interval year": T.YearMonthIntervalType(0, 0),
    "array<bigint>": T.ArrayType(T.LongType()),
    "map<string,date>": T.MapType(T.StringType(), T.DateType()),
    "void": T.NullType(),
}


def record(schema: T.StructType, table_type: str = "MANAGED") -> TableRecord:
    return TableRecord("c", "s", "t", table_type, "me", "why", 0, "me", 0, "me", "id", columns=columns_of(schema))


def test_each_type_is_read_back_as_it_was() -> None:
    schema = T.StructType([T.StructField(name, kind) for name, kind in KINDS.items()])
    assert columns_of_json(described_as_json(record(schema))) == {name: parse_type(name) for name in KINDS}


def test_char_and_varchar_keep_their_length() -> None:
    note = {"__CHAR_VARCHAR_TYPE_STRING": "varchar(7)"}
    schema = T.StructType([T.StructField("v", T.StringType(), True, note)])
    assert columns_of_json(described_as_json(record(schema))) == {"v": parse_type("varchar(7)")}


def test_fields_keep_names_and_nullability() -> None:
    told = json.loads(described_as_json(record(T.StructType([T.StructField("s", T.ArrayType(ODD), False)]), "VIEW")))
    (column,) = told["columns"]
    assert (column["name"], column["nullable"]) == ("s", False)
    assert [(f["name"], f["nullable"]) for f in column["type"]["element_type"]["fields"]] == [
        ("a:int,b", True),
        ("c`d>", False),
    ]
    assert (told["catalog_name"], told["schema_name"], told["table_name"], told["type"]) == ("c", "s", "t", "VIEW")


def test_the_statement_is_told_from_a_description_as_rows() -> None:
    for sql in ("DESCRIBE TABLE EXTENDED a.b.c AS JSON", "desc extended `a`.b.c as json"):
        statement = parse(sql)
        assert statement.kind == "DESCRIBE TABLE" and {"extended", "json"} <= statement.flags
        assert statement.target is not None and statement.target.parts[-1] == "c"
