"""Names in both systems: identifiers quoted, Unity's three levels as Spark's two, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from emulator.dialect.tokens import tokenize
from emulator.shared import quoting
from emulator.shared.names import folded
from emulator.shared.quoting import literal as literal
from emulator.sql.errors import SqlError


def quote(part: str) -> str:
    """An identifier in backticks. Raises PARSE_SYNTAX_ERROR for what cannot be one."""
    try:
        return quoting.quote(part, may_be_empty=True)
    except ValueError as e:
        raise SqlError("PARSE_SYNTAX_ERROR", f"{e}.") from e


def if_need_be(part: str) -> str:
    """An identifier as a statement has to write it: in backticks only where it is not a plain word."""
    return part if re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", part) else quote(part)


def quoted(parts: Iterable[str]) -> str:
    """A dotted name, each part in backticks."""
    return ".".join(quote(part) for part in parts)


# How Spark's schemas of pipelines' own tables begin.
HIDDEN = "__pipeline_"
_PLAIN = re.compile(r"[a-z0-9_]+")
_CODED = "x__"


def hidden_schema_name(pipeline_id: str) -> str:
    """The Spark schema of a pipeline's own tables."""
    return HIDDEN + re.sub(r"\W", "_", pipeline_id.lower())


def spark_part(name: str) -> str:
    """A Unity name as Hive's metastore can hold it: letters, digits and underscores stay, all else is coded whole."""
    name = folded(name)
    if _PLAIN.fullmatch(name) and not name.startswith(_CODED):
        return name
    return _CODED + name.encode().hex()


def spark_schema(catalog: str, schema: str) -> str:
    """The Spark schema of `catalog.schema`. Two different pairs never share one."""
    c, s = folded(catalog), folded(schema)
    if _PLAIN.fullmatch(c) and _PLAIN.fullmatch(s) and not c.startswith(_CODED):
        joined = f"{c}__{s}"
        # The first "__" must be the seam, or (a__b, c) and (a, b__c) would meet.
        if joined.find("__") == len(c) and not s.startswith("_"):
            return joined
    return f"{_CODED}{c.encode().hex()}_{s.encode().hex()}"


_PATH_FORMATS = {"delta", "parquet", "csv", "json", "text", "orc", "avro", "binaryfile", "iceberg", "xml"}


def is_path(parts: Sequence[str]) -> bool:
    """Whether a dotted name is a format with a folder in it: `` delta.`/x` ``."""
    return len(parts) == 2 and parts[0].lower() in _PATH_FORMATS and "/" in parts[1]


def split_name(text: str) -> tuple[str, ...]:
    """Parts of a dotted name as written in SQL, backticks undone. Raises PARSE_SYNTAX_ERROR."""
    tokens = tokenize(text)
    parts: list[str] = []
    for index, token in enumerate(tokens):
        if index % 2 == 0 and token.is_name:
            parts.append(token.name)
        elif index % 2 == 0 or token.text != ".":
            raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near '{token.text}' in the name {text!r}.")
    if len(tokens) % 2 == 0:
        raise SqlError("PARSE_SYNTAX_ERROR", f"Syntax error at or near end of input in the name {text!r}.")
    return tuple(parts)


class NameBook:
    """Turns Spark's names in messages and results back into three-level ones, for the schemas it knows."""

    def __init__(self, schemas: Mapping[str, tuple[str, str]], tables: Mapping[str, str] | None = None) -> None:
        """schemas: Spark schema to (catalog, schema). tables: coded Spark table names to Unity names."""
        self._schemas = dict(schemas)
        self._tables = dict(tables or {})
        names = sorted((re.escape(name) for name in [*self._schemas, *self._tables]), key=len, reverse=True)
        self._pattern = (
            re.compile(r"(?:`?spark_catalog`?\.)?(`?)(?<![\w])(" + "|".join(names) + r")(?![\w])\1", re.I)
            if names
            else None
        )

    def translate(self, text: str) -> str:
        """`text` with every known Spark name as Unity's."""

        def one(match: re.Match[str]) -> str:
            mark, name = match[1], folded(match[2])
            if name in self._schemas:
                catalog, schema = self._schemas[name]
                return f"{mark}{catalog}{mark}.{mark}{schema}{mark}"
            return f"{mark}{self._tables[name]}{mark}"

        if self._pattern is not None:
            text = self._pattern.sub(one, text)
        return re.sub(r"`?spark_catalog`?\.(?=`?\w)", "", text)

    def is_sparks(self, schema: str) -> bool:
        """Whether Spark alone knows a schema by this name: one of the catalog's, or a pipeline's hidden one."""
        return folded(schema) in self._schemas or folded(schema).startswith(HIDDEN)
