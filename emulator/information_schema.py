"""`information_schema` of each catalog and of `system`: rows made from the catalog for one principal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from emulator.catalog import Catalog
from emulator.metadata import MATERIALIZED_VIEW, PIPELINE_TYPES, VIEW, TableRecord
from emulator.shared.names import folded

_TIME = pa.timestamp("us", tz="UTC")


def _schema(*columns: str) -> pa.Schema:
    """Columns written `name`, `name:int` or `name:time`."""
    kinds = {"": pa.string(), "int": pa.int32(), "time": _TIME}
    return pa.schema([(c.partition(":")[0], kinds[c.partition(":")[2]]) for c in columns])


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


_CATALOGS = _schema(
    "catalog_name", "catalog_owner", "comment", "created:time", "created_by", "last_altered:time", "last_altered_by"
)
_SCHEMATA = _schema(
    "catalog_name",
    "schema_name",
    "schema_owner",
    "comment",
    "created:time",
    "created_by",
    "last_altered:time",
    "last_altered_by",
)
_TABLES = _schema(
    "table_catalog",
    "table_schema",
    "table_name",
    "table_type",
    "is_insertable_into",
    "commit_action",
    "table_owner",
    "comment",
    "created:time",
    "created_by",
    "last_altered:time",
    "last_altered_by",
    "data_source_format",
    "storage_path",
)
_VIEWS = _schema(
    "table_catalog",
    "table_schema",
    "table_name",
    "view_definition",
    "check_option",
    "is_updatable",
    "is_insertable_into",
    "sql_path",
    "is_materialized",
)
_COLUMNS = _schema(
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position:int",
    "column_default",
    "is_nullable",
    "full_data_type",
    "data_type",
    "character_maximum_length:int",
    "numeric_precision:int",
    "numeric_precision_radix:int",
    "numeric_scale:int",
    "datetime_precision:int",
    "partition_index:int",
    "comment",
)
_CATALOG_PRIVILEGES = _schema("grantor", "grantee", "catalog_name", "privilege_type", "is_grantable", "inherited_from")
_SCHEMA_PRIVILEGES = _schema(
    "grantor", "grantee", "catalog_name", "schema_name", "privilege_type", "is_grantable", "inherited_from"
)
_TABLE_PRIVILEGES = _schema(
    "grantor",
    "grantee",
    "table_catalog",
    "table_schema",
    "table_name",
    "privilege_type",
    "is_grantable",
    "inherited_from",
)


_CATALOG_TAGS = _schema("catalog_name", "tag_name", "tag_value")
_SCHEMA_TAGS = _schema("catalog_name", "schema_name", "tag_name", "tag_value")
_TABLE_TAGS = _schema("catalog_name", "schema_name", "table_name", "tag_name", "tag_value")
_COLUMN_TAGS = _schema("catalog_name", "schema_name", "table_name", "column_name", "tag_name", "tag_value")
_TABLE_SHARE_USAGE = _schema("catalog_name", "schema_name", "table_name", "share_name")
_SCHEMA_SHARE_USAGE = _schema("catalog_name", "schema_name", "share_name")


class InformationSchema:
    """Makes the rows of one table of an information_schema, holding what `principal` may see."""

    def __init__(self, catalog: Catalog, principal: str) -> None:
        self._catalog = catalog
        self._principal = principal
        self._makers: Mapping[str, tuple[pa.Schema, Callable[[str | None], Iterable[tuple[Any, ...]]]]] = {
            "catalogs": (_CATALOGS, self._catalogs),
            "schemata": (_SCHEMATA, self._schemata),
            "tables": (_TABLES, self._tables),
            "views": (_VIEWS, self._views),
            "columns": (_COLUMNS, self._columns),
            "catalog_privileges": (_CATALOG_PRIVILEGES, self._catalog_privileges),
            "schema_privileges": (_SCHEMA_PRIVILEGES, self._schema_privileges),
            "table_privileges": (_TABLE_PRIVILEGES, self._table_privileges),
            "catalog_tags": (_CATALOG_TAGS, self._catalog_tags),
            "schema_tags": (_SCHEMA_TAGS, self._schema_tags),
            "table_tags": (_TABLE_TAGS, self._table_tags),
            "column_tags": (_COLUMN_TAGS, self._column_tags),
            "table_share_usage": (_TABLE_SHARE_USAGE, self._no_share),
            "schema_share_usage": (_SCHEMA_SHARE_USAGE, self._no_share),
        }

    @staticmethod
    def names() -> tuple[str, ...]:
        return (
            "catalogs",
            "schemata",
            "tables",
            "views",
            "columns",
            "catalog_privileges",
            "schema_privileges",
            "table_privileges",
            "catalog_tags",
            "schema_tags",
            "table_tags",
            "column_tags",
            "table_share_usage",
            "schema_share_usage",
        )

    def table(self, catalog: str, name: str) -> pa.Table | None:
        """Rows of `catalog`.information_schema.`name`; of all catalogs for `system`. None if there is no such table."""
        maker = self._makers.get(folded(name))
        if maker is None:
            return None
        schema, rows = maker
        data = list(rows(None if folded(catalog) == "system" else folded(catalog)))
        arrays = [pa.array([row[i] for row in data], field.type) for i, field in enumerate(schema)]
        return pa.Table.from_arrays(arrays, schema=schema)

    def _no_share(self, _catalog: str | None) -> Iterable[tuple[Any, ...]]:
        """There are no shares here: none can be created."""
        return ()

    def _visible(self, kind: str, name: str) -> bool:
        return self._catalog.can_see(self._principal, kind, name)

    def _visible_tables(self, catalog: str | None) -> list[TableRecord]:
        return [t for t in self._catalog.all_tables(catalog) if self._visible("TABLE", t.full_name)]

    def _catalogs(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for c in self._catalog.list_catalogs():
            if catalog in (None, c.name) and self._visible("CATALOG", c.name):
                yield (c.name, c.owner, c.comment, _at(c.created_at), c.created_by, _at(c.updated_at), c.updated_by)

    def _schemata(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for c in self._catalog.list_catalogs():
            if catalog not in (None, c.name) or not self._visible("CATALOG", c.name):
                continue
            yield (
                c.name,
                "information_schema",
                "System user",
                "Information schema (auto-created)",
                _at(c.created_at),
                "System user",
                _at(c.created_at),
                "System user",
            )
            for s in self._catalog.list_schemas(c.name):
                if self._visible("SCHEMA", s.full_name):
                    yield (
                        c.name,
                        s.name,
                        s.owner,
                        s.comment,
                        _at(s.created_at),
                        s.created_by,
                        _at(s.updated_at),
                        s.updated_by,
                    )

    def _tables(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for t in self._visible_tables(catalog):
            insertable = "NO" if t.table_type == VIEW or t.table_type in PIPELINE_TYPES else "YES"
            yield (
                *t.key,
                t.table_type,
                insertable,
                "PRESERVE",
                t.owner,
                t.comment,
                _at(t.created_at),
                t.created_by,
                _at(t.updated_at),
                t.updated_by,
                t.data_source_format,
                t.storage_location,
            )

    def _views(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        """VIEW_DEFINITION is "the view text if the user owns the view, NULL otherwise", also for administrators."""
        owners = {self._principal, *self._catalog.groups_of(self._principal)}
        for t in self._visible_tables(catalog):
            if t.table_type in (VIEW, MATERIALIZED_VIEW):
                materialized = "YES" if t.table_type == MATERIALIZED_VIEW else "NO"
                shown = t.view_definition if t.owner in owners else None
                yield (*t.key, shown, "NONE", "NO", "NO", None, materialized)

    def _columns(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for t in self._visible_tables(catalog):
            for c in t.columns:
                precision = scale = None
                if c.type_name == "DECIMAL":
                    precision, scale = (int(n) for n in c.type_text[8:-1].split(","))
                sizes = {"BYTE": 3, "SHORT": 5, "INT": 10, "LONG": 19}
                radix = 10 if precision is not None or c.type_name in sizes else None
                yield (
                    *t.key,
                    c.name,
                    c.position,
                    None,
                    "YES" if c.nullable else "NO",
                    c.type_text,
                    c.type_name,
                    None,
                    precision or sizes.get(c.type_name),
                    radix,
                    scale if precision is not None else (0 if c.type_name in sizes else None),
                    None,
                    c.partition_index,
                    c.comment,
                )

    def _grants(self, kind: str, full_name: str) -> Iterable[tuple[str, str, str]]:
        """(grantee, privilege, inherited from) of all levels."""
        for grant in self._catalog.effective_grants(kind, full_name):
            source = "NONE" if grant.inherited_from is None else grant.inherited_from[0]
            yield grant.principal, grant.privilege.replace("_", " "), source

    def _catalog_privileges(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for c in self._catalog.list_catalogs():
            if catalog in (None, c.name) and self._visible("CATALOG", c.name):
                for grantee, privilege, source in self._grants("CATALOG", c.name):
                    yield (None, grantee, c.name, privilege, "NO", source)

    def _schema_privileges(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for s in self._catalog.all_schemas():
            if catalog in (None, s.catalog_name) and self._visible("SCHEMA", s.full_name):
                for grantee, privilege, source in self._grants("SCHEMA", s.full_name):
                    yield (None, grantee, s.catalog_name, s.name, privilege, "NO", source)

    def _table_privileges(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for t in self._visible_tables(catalog):
            for grantee, privilege, source in self._grants("TABLE", t.full_name):
                yield (None, grantee, *t.key, privilege, "NO", source)

    def _catalog_tags(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for c in self._catalog.list_catalogs():
            if catalog in (None, c.name) and self._visible("CATALOG", c.name):
                for tag, value in self._catalog.tags_of("CATALOG", c.name).get("", {}).items():
                    yield (c.name, tag, value)

    def _schema_tags(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for s in self._catalog.all_schemas():
            if catalog in (None, s.catalog_name) and self._visible("SCHEMA", s.full_name):
                for tag, value in self._catalog.tags_of("SCHEMA", s.full_name).get("", {}).items():
                    yield (s.catalog_name, s.name, tag, value)

    def _table_tags(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for t in self._visible_tables(catalog):
            for tag, value in self._catalog.tags_of("TABLE", t.full_name).get("", {}).items():
                yield (*t.key, tag, value)

    def _column_tags(self, catalog: str | None) -> Iterable[tuple[Any, ...]]:
        for t in self._visible_tables(catalog):
            for column, tags in self._catalog.tags_of("TABLE", t.full_name).items():
                for tag, value in tags.items() if column else ():
                    yield (*t.key, column, tag, value)
