"""Schemas: read a side's columns, parse their types, name every difference between two schemas."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from databricks_client.names import all_folded, folded
from validation.errors import SideUnreadable, SpecError, StatementError
from validation.report import SchemaDifference
from validation.spec import ComparisonSpec, SchemaAspect
from validation.sqltext import quote, quote_table, split_name
from validation.warehouse import Row, Warehouse, never


@dataclass(frozen=True)
class DataType:
    """A SQL type as a tree.

    name: `int`, `decimal`, `string`, `char`, `varchar`, `array`, `map`, `struct`, `interval year to month`, ...; a type
    that this package does not know keeps its text as its name. arguments: precision and scale, or a length.
    collation: of strings, "" for the plain binary one. children: element; key and value; or the fields of a struct.
    """

    name: str
    arguments: tuple[int, ...] = ()
    collation: str = ""
    children: tuple[DataType, ...] = ()
    field_names: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.name == "struct":
            inner = ",".join(f"{n}:{c}" for n, c in zip(self.field_names, self.children, strict=True))
            return f"struct<{inner}>"
        if self.children:
            return f"{self.name}<{','.join(str(c) for c in self.children)}>"
        text = self.name
        if self.arguments:
            text += f"({','.join(str(a) for a in self.arguments)})"
        return text + (f" collate {self.collation}" if self.collation else "")


_ALIASES = {
    "integer": "int",
    "long": "bigint",
    "short": "smallint",
    "byte": "tinyint",
    "real": "float",
    "dec": "decimal",
    "numeric": "decimal",
    "timestamp_ltz": "timestamp",
    "null": "void",
    "character": "char",
}
_WORDS = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*")
_ARGUMENTS = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_COLLATE = re.compile(r"\s+collate\s+([A-Za-z0-9_.`]+)", re.IGNORECASE)
_FIELD = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^:`<>,()]+?))\s*:\s*")
_HIDING = re.compile(r"#?\s*(row filter|column mask)s?", re.IGNORECASE)
_NOT_NULL = re.compile(r"\s+not\s+null", re.IGNORECASE)
_COMMENT = re.compile(r"\s+comment\s+'(?:[^'\\]|\\.|'')*'", re.IGNORECASE)


def parse_type(text: str) -> DataType:
    """The type that `DESCRIBE` or `typeof` prints. A text that cannot be parsed becomes a type of that name."""
    try:
        parsed, end = _parse(text.strip(), 0)
    except ValueError:
        return DataType(text.strip())
    return parsed if end == len(text.strip()) else DataType(text.strip())


def _parse(text: str, at: int) -> tuple[DataType, int]:
    word = _WORDS.match(text, at)
    if word is None:
        raise ValueError(text)
    raw = word.group()
    collate = re.search(r"\s+collate\s", raw + " ", re.IGNORECASE)
    if collate is not None:
        raw = raw[: collate.start()]
    null = _NOT_NULL.search(raw)
    if null is not None:
        raw = raw[: null.start()]
    name = raw.strip().lower()
    name = _ALIASES.get(name, name)
    at += len(raw.rstrip()) if raw.strip() else 0
    children: list[DataType] = []
    names: list[str] = []
    if name in {"array", "map", "struct"} and text.startswith("<", at):
        at += 1
        while not text.startswith(">", at):
            if name == "struct":
                found = _FIELD.match(text, at)
                if found is None:
                    raise ValueError(text)
                names.append(found.group(1).replace("``", "`") if found.group(1) else found.group(2))
                at = found.end()
            elif text.startswith(" ", at):
                at += 1
                continue
            child, at = _parse(text, at)
            for extra in (_NOT_NULL, _COMMENT):
                found_extra = extra.match(text, at)
                at = found_extra.end() if found_extra else at
            children.append(child)
            if text.startswith(",", at):
                at += 1
            elif not text.startswith(">", at):
                raise ValueError(text)
        at += 1
        if (name == "array" and len(children) != 1) or (name == "map" and len(children) != 2):
            raise ValueError(text)
        return DataType(name, (), "", tuple(children), tuple(names)), at
    arguments: tuple[int, ...] = ()
    found = _ARGUMENTS.match(text, at)
    if found is not None:
        arguments = tuple(int(g) for g in found.groups() if g is not None)
        at = found.end()
    if name == "decimal":
        arguments = (*(arguments or (10,)), 0)[:2] if len(arguments) < 2 else arguments
    collation = ""
    found = _COLLATE.match(text, at)
    if found is not None:
        collation = found.group(1).replace("`", "")
        at = found.end()
        if collation.upper().removeprefix("SYSTEM.BUILTIN.") == "UTF8_BINARY":
            collation = ""
    return DataType(name, arguments, collation), at


@dataclass(frozen=True)
class Column:
    """A column of one side. nullable: None where the service does not say."""

    name: str
    type: DataType
    nullable: bool | None = None
    comment: str = ""


@dataclass(frozen=True)
class TableSchema:
    """The columns of one side in order, and what its description says besides.

    table_type: MANAGED, VIEW, MATERIALIZED_VIEW, ...; provider: `delta`, `parquet`, ... or "".
    definition: hash of a view's text, "" for a table. refreshed: what the description says of the last refresh of a
    materialized view, "" otherwise. hidden: what may keep rows or values from the reader, as `row filter`.
    """

    columns: tuple[Column, ...]
    table_type: str = ""
    provider: str = ""
    definition: str = ""
    refreshed: str = ""
    bytes: int | None = None
    hidden: tuple[str, ...] = ()
    details: dict[str, str] = field(default_factory=dict)

    @property
    def temporary(self) -> bool:
        """Whether this is a session's temporary view: it has columns and nothing else, no DDL and no history."""
        return not self.details

    @property
    def names_and_types(self) -> tuple[tuple[str, DataType], ...]:
        """What decides how the columns are read."""
        return tuple((c.name, c.type) for c in self.columns)


def read_schema(
    warehouse: Warehouse, name: str, cancelled: Callable[[], bool] = never, version: int | None = None
) -> TableSchema:
    """Describe a table or view, or what a Delta table was at `version`.

    Raises SideUnreadable when it does not exist or may not be read.
    """
    table = quote_table(name)
    try:
        rows = warehouse.execute(f"DESCRIBE TABLE EXTENDED {table}", None, cancelled)
    except StatementError as e:
        raise SideUnreadable(f"{name} cannot be read: {e}") from e
    schema = schema_of_description(rows)
    if not schema.columns:
        raise SideUnreadable(f"{name} has no columns")
    cut = [c.name for c in schema.columns if "more fields" in str(c.type)]
    if cut:
        schema = _with_full_types(warehouse, table, schema, cut, cancelled)
    schema = _with_field_names(warehouse, table, schema, cancelled)
    schema = _with_nullability(warehouse, name, schema, cancelled)
    if version is None:
        return schema
    try:
        return schema_at(warehouse, name, schema, version, cancelled)
    except StatementError as e:
        raise SideUnreadable(f"version {version} of {name} cannot be read: {e}") from e


def schema_at(
    warehouse: Warehouse, name: str, today: TableSchema, version: int, cancelled: Callable[[], bool] = never
) -> TableSchema:
    """The columns of a Delta table at `version`; the rest is that of `today`.

    What a query's description leaves out (CHAR and VARCHAR, nullability, comments) is taken from today's column where
    that has the same name and type. Raises StatementError where the version cannot be read.
    """
    table = f"{quote_table(name)} VERSION AS OF {version}"
    then = schema_of_description(warehouse.execute(f"DESCRIBE QUERY SELECT * FROM {table}", None, cancelled))
    cut = [c.name for c in then.columns if "more fields" in str(c.type)]
    if cut:
        then = _with_full_types(warehouse, table, then, cut, cancelled)
    known = {c.name: c for c in today.columns}
    same = {c.name for c in then.columns if c.name in known and _is_printed_as(known[c.name].type, c.type)}
    return replace(today, columns=tuple(known[c.name] if c.name in same else c for c in then.columns))


def _as_printed(kind: DataType) -> DataType:
    """A type as the description of a query has it, where CHAR and VARCHAR are STRING."""
    if kind.name in {"char", "varchar"}:
        return DataType("string", (), kind.collation)
    return replace(kind, children=tuple(_as_printed(c) for c in kind.children))


def _is_printed_as(kind: DataType, printed: DataType) -> bool:
    """Whether a description may have `printed` for `kind`: of structs it shows the text and not what is a field."""
    return _as_printed(kind) == printed or (_has_struct(kind) and str(_as_printed(kind)) == str(printed))


def _has_struct(kind: DataType) -> bool:
    return kind.name.startswith("struct") or "struct<" in kind.name or any(_has_struct(c) for c in kind.children)


def schema_of_description(rows: Sequence[Row]) -> TableSchema:
    """The schema in the rows of `DESCRIBE TABLE EXTENDED` (col_name, data_type, comment).

    Databricks adds a row `Row Filter` and a section `# Column Masks` to tables that have them.
    """
    columns: list[Column] = []
    hidden: set[str] = set()
    details: dict[str, str] = {}
    in_columns, of_columns = True, False
    for row in rows:
        name, kind, comment = (str(row.get(c) or "") for c in ("col_name", "data_type", "comment"))
        if not kind.strip():
            in_columns = False  # A column has a type, though its name may be empty or begin with `#`.
        if in_columns:
            columns.append(Column(name, parse_type(kind), None, comment))
            continue
        found = _HIDING.fullmatch(name.strip())
        if found is not None:
            hidden.add(found.group(1).lower())
        if name.startswith("#") and not kind.strip():
            # Sections that list columns again: a column may be called like a detail.
            of_columns = name.lower() in {"# partition information", "# clustering information"}
        if name and not name.startswith("#") and not of_columns:
            details.setdefault(name, kind)
    table_type = details.get("Type", "").upper()
    text = details.get("View Text", "")
    refreshed = "; ".join(
        f"{k}: {v}" for k, v in sorted(details.items()) if re.match(r"(last|latest) refresh", k, re.I)
    )
    size = re.match(r"(\d+) bytes", details.get("Statistics", ""))
    return TableSchema(
        columns=tuple(columns),
        table_type=table_type,
        provider=details.get("Provider", "").lower(),
        definition=hashlib.sha256(text.encode()).hexdigest()[:16] if text else "",
        refreshed=refreshed,
        bytes=int(size.group(1)) if size else None,
        hidden=tuple(sorted(hidden, reverse=True)),
        details=details,
    )


def _with_full_types(
    warehouse: Warehouse, table: str, schema: TableSchema, cut: Sequence[str], cancelled: Callable[[], bool]
) -> TableSchema:
    """Descriptions shorten a struct of more than 25 fields; `typeof` does not, and needs no row to be read."""
    wanted = ", ".join(f"typeof(t.{quote(c)}) AS t{i}" for i, c in enumerate(cut))
    rows = warehouse.execute(
        f"SELECT {wanted} FROM (SELECT 1) AS one LEFT JOIN (SELECT * FROM {table} WHERE false) AS t ON true",
        None,
        cancelled,
    )
    full = {c: parse_type(str(rows[0][f"t{i}"])) for i, c in enumerate(cut)}
    return replace(schema, columns=tuple(replace(c, type=full.get(c.name, c.type)) for c in schema.columns))


def _with_field_names(
    warehouse: Warehouse, table: str, schema: TableSchema, cancelled: Callable[[], bool]
) -> TableSchema:
    """Structs with the names of their fields. Unquoted, `struct<a:int,b:int>` may have one field `a:int,b`.

    From the description as JSON, else from the table's DDL. Where neither is served, the text is read as if every sign
    in it were one of a type: a wrong field is in no row, so that its comparison fails and is not proven.
    """
    if not any(_has_struct(c.type) for c in schema.columns):
        return schema
    kinds: dict[str, DataType | None] = {}
    with suppress(StatementError):
        rows = warehouse.execute(f"DESCRIBE TABLE EXTENDED {table} AS JSON", None, cancelled)
        kinds = columns_of_json(str(next(iter(rows[0].values()))) if rows else "")
    if not kinds:
        names = [c.name for c in schema.columns]
        with suppress(StatementError):
            rows = warehouse.execute(f"SHOW CREATE TABLE {table}", None, cancelled)
            declared = ddl_columns(str(next(iter(rows[0].values()))) if rows else "", names)
            kinds = {name: kind for name, (kind, _) in zip(names, declared or (), strict=False)}
    exact = {c.name: kinds.get(c.name) for c in schema.columns if _has_struct(c.type)}
    return replace(
        schema,
        columns=tuple(
            replace(c, type=_as_printed(kind))
            if (kind := exact.get(c.name)) is not None and _is_printed_as(kind, c.type)
            else c
            for c in schema.columns
        ),
    )


def columns_of_json(text: str) -> dict[str, DataType | None]:
    """The type of each column in a `DESCRIBE TABLE ... AS JSON`, None where it cannot be read; {} for other texts."""
    try:
        return {str(c["name"]): _of_json(c["type"]) for c in json.loads(text)["columns"]}
    except (ValueError, TypeError, KeyError):
        return {}


def _of_json(kind: Any) -> DataType | None:
    name = str(kind["name"])
    if name == "struct":
        fields = {str(f["name"]): _of_json(f["type"]) for f in kind["fields"]}
        parts, names = list(fields.values()), tuple(fields)
        if len(fields) < len(kind["fields"]):
            return None
    else:
        inner = {"array": ("element_type",), "map": ("key_type", "value_type")}.get(name, ())
        parts, names = [_of_json(kind[part]) for part in inner], ()
    children = tuple(p for p in parts if p is not None)
    if len(children) < len(parts):
        return None
    if parts or name == "struct":
        return DataType(name, (), "", children, names)
    if name == "interval":
        units = [str(kind[unit]) for unit in ("start_unit", "end_unit") if kind.get(unit)]
        return parse_type(" ".join(["interval", " to ".join(dict.fromkeys(units))]))
    sizes = [str(kind[size]) for size in ("precision", "scale", "length") if kind.get(size) is not None]
    collation = kind.get("collation")
    return parse_type(name + (f"({','.join(sizes)})" if sizes else "") + (f" collate {collation}" if collation else ""))


def _with_nullability(
    warehouse: Warehouse, name: str, schema: TableSchema, cancelled: Callable[[], bool]
) -> TableSchema:
    """What a description leaves out: NOT NULL, and CHAR and VARCHAR where it prints STRING.

    From the catalog's information schema; for a shorter name, or where that has nothing, from the table's DDL.
    Nullability stays unknown (None) where neither is served.
    """
    parts = split_name(name)
    if len(parts) == 3:
        with suppress(StatementError):
            rows = warehouse.execute(
                f"SELECT column_name, is_nullable, full_data_type FROM {quote(parts[0])}.information_schema.columns "
                "WHERE table_schema = :schema AND table_name = :table",
                {"schema": folded(parts[1]), "table": folded(parts[2])},
                cancelled,
            )
            if rows:
                return _completed(schema, rows)
    if "VIEW" in schema.table_type or schema.temporary:
        return schema
    try:
        rows = warehouse.execute(f"SHOW CREATE TABLE {quote_table(name)}", None, cancelled)
    except StatementError:
        return schema
    declared = ddl_columns(str(next(iter(rows[0].values()))) if rows else "", [c.name for c in schema.columns])
    if declared is None:
        return schema
    return replace(
        schema,
        columns=tuple(
            replace(c, type=kind if kind is not None and _as_printed(kind) == c.type else c.type, nullable=not required)
            for c, (kind, required) in zip(schema.columns, declared, strict=True)
        ),
    )


def _completed(schema: TableSchema, rows: Sequence[Row]) -> TableSchema:
    """`schema` with what the rows of `information_schema.columns` add."""
    found = {folded(str(r["column_name"])): r for r in rows}
    columns = []
    for c in schema.columns:
        row = found.get(folded(c.name))
        if row is None:
            columns.append(c)
            continue
        kind = parse_type(str(row["full_data_type"] or ""))
        nullable = {"YES": True, "NO": False}.get(str(row["is_nullable"]).upper())
        columns.append(replace(c, type=kind if _as_printed(kind) == c.type else c.type, nullable=nullable))
    return replace(schema, columns=tuple(columns))


def ddl_columns(ddl: str, names: Sequence[str]) -> list[tuple[DataType | None, bool]] | None:
    """Of each column in a CREATE TABLE text its type, None if that cannot be read, and whether it is NOT NULL.

    None if the text does not list exactly the columns `names`.
    """
    start = re.match(r"(?:`[^`]*`|[^`(])*\(", ddl)
    if start is None:
        return None
    found: list[tuple[DataType | None, bool]] = []
    seen: list[str] = []
    for item in _top_level_items(ddl, start.end()):
        column = re.match(r"\s*(?:`((?:[^`]|``)+)`|([^\s`]+))\s+(.*)", item, re.S)
        if column is None:
            return None
        name = column.group(1).replace("``", "`") if column.group(1) else column.group(2)
        if column.group(1) is None and name.upper() in {"CONSTRAINT", "PRIMARY", "FOREIGN"}:
            continue
        seen.append(name)
        kind: DataType | None = None
        with suppress(ValueError):
            kind, _ = _parse(column.group(3), 0)
        found.append((kind, re.search(r"\bNOT NULL\b", _outer_text(column.group(3)), re.I) is not None))
    return found if seen == list(names) else None


def _top_level_items(text: str, at: int) -> list[str]:
    """The comma-separated items from `at` to the bracket that closes them; strings and nested brackets are skipped."""
    items, depth, begin = [], 0, at
    while at < len(text):
        char = text[at]
        if char in "'`\"":
            at += 1
            while at < len(text) and text[at] != char:
                at += 2 if text[at] == "\\" and char != "`" else 1
        elif char in "(<":
            depth += 1
        elif char == ")" and depth == 0:
            items.append(text[begin:at])
            break
        elif char in ")>":
            depth -= 1
        elif char == "," and depth == 0:
            items.append(text[begin:at])
            begin = at + 1
        at += 1
    return items


def _outer_text(text: str) -> str:
    """`text` without what stands in brackets or quotes."""
    out, depth, at = [], 0, 0
    while at < len(text):
        char = text[at]
        if char in "'`":
            at += 1
            while at < len(text) and text[at] != char:
                at += 2 if text[at] == "\\" and char == "'" else 1
        elif char in "(<":
            depth += 1
        elif char in ")>":
            depth -= 1
        elif depth == 0:
            out.append(char)
        at += 1
    return "".join(out)


@dataclass(frozen=True)
class ColumnPair:
    """A column as it is on both sides; its name in reports is the baseline's."""

    baseline: Column
    candidate: Column

    @property
    def name(self) -> str:
        """The baseline's name."""
        return self.baseline.name


@dataclass(frozen=True)
class Alignment:
    """Which columns face each other, and every difference of the schemas."""

    pairs: tuple[ColumnPair, ...]
    differences: tuple[SchemaDifference, ...]

    @property
    def decides(self) -> bool:
        """Whether a difference makes the tables different."""
        return any(d.decides for d in self.differences)


def _check_names(spec: ComparisonSpec, baseline: TableSchema, candidate: TableSchema) -> None:
    left, right = (all_folded(c.name for c in side.columns) for side in (baseline, candidate))
    for name in sorted(spec.excluded_columns):
        if folded(name) not in left | right:
            raise SpecError(f"excluded column {name} is in neither table: check its spelling")
    for name, target in spec.column_mapping.items():
        if folded(name) not in left and folded(target) not in right:
            raise SpecError(f"the mapping of {name} to {target} fits neither table: check its spelling")


def excluded_names(spec: ComparisonSpec) -> set[str]:
    """The columns that are left out, folded: a mapped column by both its names, whichever of them is given."""
    excluded = all_folded(spec.excluded_columns)
    for pair in spec.column_mapping.items():
        if all_folded(pair) & excluded:
            excluded |= all_folded(pair)
    return excluded


def _refuse_ambiguous(word: str, columns: Sequence[Column]) -> None:
    """A view may have columns that only a case-sensitive session can distinguish: read here, either could be meant."""
    seen: dict[str, str] = {}
    for c in columns:
        other = seen.get(folded(c.name))
        if other is not None:
            raise SideUnreadable(
                f"the {word} has two columns of one name, {other} and {c.name}, between which a query cannot choose: "
                "rename or exclude them"
            )
        seen[folded(c.name)] = c.name


def align(spec: ComparisonSpec, baseline: TableSchema, candidate: TableSchema) -> Alignment:
    """Pair the mapped columns, then those of exactly one name, then by name without case; name all differences.

    Raises SpecError where a column that is to be mapped or left out is in neither table, and SideUnreadable where a
    side has two columns of one name.
    """
    _check_names(spec, baseline, candidate)
    excluded = excluded_names(spec)
    left = [c for c in baseline.columns if folded(c.name) not in excluded]
    right = [c for c in candidate.columns if folded(c.name) not in excluded]
    _refuse_ambiguous("baseline", left)
    _refuse_ambiguous("candidate", right)
    mapping = {folded(a): b for a, b in spec.column_mapping.items()}
    found: list[SchemaDifference] = []

    def differ(aspect: SchemaAspect, column: str, a: str | None, b: str | None, note: str = "") -> None:
        found.append(SchemaDifference(aspect.value, column, a, b, aspect in spec.deciding, note))

    by_name = {c.name: c for c in right}
    by_fold: dict[str, list[Column]] = {}
    for c in right:
        by_fold.setdefault(folded(c.name), []).append(c)
    partner: dict[str, Column] = {}
    taken: set[str] = set()
    for c in sorted(left, key=lambda c: folded(c.name) not in mapping):
        target = mapping.get(folded(c.name), c.name)
        if target in by_name and target not in taken:
            partner[c.name] = by_name[target]
            taken.add(target)
    for c in left:
        target = mapping.get(folded(c.name), c.name)
        if c.name in partner:
            continue
        close = [o for o in by_fold.get(folded(target), []) if o.name not in taken]
        if close:
            partner[c.name] = close[0]
            taken.add(close[0].name)
            if folded(c.name) not in mapping:  # There they differ by intention.
                differ(SchemaAspect.NAMES, c.name, target, close[0].name, "the names differ in case")
        else:
            differ(SchemaAspect.COLUMNS, c.name, str(c.type), None, "only in the baseline")
    for c in right:
        if c.name not in taken:
            differ(SchemaAspect.COLUMNS, c.name, None, str(c.type), "only in the candidate")

    pairs = tuple(ColumnPair(c, partner[c.name]) for c in left if c.name in partner)
    order = [p.candidate.name for p in pairs]
    actual = [c.name for c in right if c.name in set(order)]
    if order != actual:
        back = {p.candidate.name: p.name for p in pairs}
        moved = [n for n, m in zip(order, actual, strict=True) if n != m]
        differ(
            SchemaAspect.ORDER,
            back[moved[0]],
            ", ".join(p.name for p in pairs),
            ", ".join(back[n] for n in actual),
            f"{len(moved)} columns stand in another place",
        )
    for p in pairs:
        if p.baseline.type != p.candidate.type:
            differ(SchemaAspect.TYPES, p.name, str(p.baseline.type), str(p.candidate.type))
        a, b = p.baseline.nullable, p.candidate.nullable
        if a is not None and b is not None and a != b:
            words = {True: "nullable", False: "NOT NULL"}
            differ(SchemaAspect.NULLABILITY, p.name, words[a], words[b])
        if p.baseline.comment != p.candidate.comment:
            differ(SchemaAspect.COMMENTS, p.name, p.baseline.comment, p.candidate.comment)
    return Alignment(pairs, tuple(found))
