"""Unity Catalog API 2.1: catalogs, schemas, tables, grants and the metastore."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from databricks.sdk.service import catalog as sdk

from emulator.access import may_be_granted
from emulator.constants import WORKSPACE_ID
from emulator.records import Json
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Call, route
from emulator.rest.paging import encode_token, offset_of
from emulator.sql.errors import SqlError
from emulator.system_tables import METASTORE_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulator.catalog import Catalog
    from emulator.metadata import CatalogRecord, Grant, SchemaRecord, TableRecord

UC = "/api/2.1/unity-catalog"
CODES = {
    "NO_SUCH_CATALOG_EXCEPTION": ("CATALOG_DOES_NOT_EXIST", 404),
    "CATALOG_NOT_FOUND": ("CATALOG_DOES_NOT_EXIST", 404),
    "SCHEMA_NOT_FOUND": ("SCHEMA_DOES_NOT_EXIST", 404),
    "TABLE_OR_VIEW_NOT_FOUND": ("TABLE_DOES_NOT_EXIST", 404),
    "CATALOG_ALREADY_EXISTS": ("CATALOG_ALREADY_EXISTS", 409),
    "SCHEMA_ALREADY_EXISTS": ("SCHEMA_ALREADY_EXISTS", 409),
    "TABLE_OR_VIEW_ALREADY_EXISTS": ("TABLE_ALREADY_EXISTS", 409),
    "INSUFFICIENT_PERMISSIONS": ("PERMISSION_DENIED", 403),
    "PRINCIPAL_DOES_NOT_EXIST": ("PRINCIPAL_DOES_NOT_EXIST", 404),
    "INTERNAL_ERROR": ("INTERNAL_ERROR", 500),
}


@contextmanager
def service_errors() -> Iterator[None]:
    """The SQL half's errors as the REST API words them."""
    try:
        yield
    except SqlError as e:
        code, status = CODES.get(e.error_class.split(".")[0], ("INVALID_PARAMETER_VALUE", 400))
        raise ServiceError(code, e.text, status=status) from e


def catalog_of(call: Call) -> Catalog:
    return call.workspace.sql.catalog


def needs_spark(call: Call) -> None:
    if not call.workspace.sql_ready.is_set():
        raise ServiceError("TEMPORARILY_UNAVAILABLE", "The workspace's Spark is starting; try again shortly.")


def paged(call: Call, items: Sequence[Any], key: str, document: Callable[[Any], Json], most: int = 1000) -> Json:
    """One page by max_results and page_token; without max_results (or 0) everything fits on one page."""
    limit = call.int("max_results", 0) or 0
    if limit < 0:
        raise bad(f"max_results must not be negative: {limit}")
    start = offset_of(call)
    limit = min(limit, most) if limit else most
    answer: Json = {key: [document(i) for i in items[start : start + limit]]}
    if len(items) > start + limit:
        answer["next_page_token"] = encode_token(start + limit)
    return answer


def visible(call: Call, kind: str, items: Iterable[Any]) -> list[Any]:
    catalog = catalog_of(call)
    return [i for i in items if catalog.can_see(call.user, kind, i.full_name)]


# -- documents -----------------------------------------------------------------------------------------------------


def ownership(record: CatalogRecord | SchemaRecord | TableRecord) -> Json:
    return {
        "owner": record.owner,
        "comment": record.comment,
        "created_at": record.created_at,
        "created_by": record.created_by,
        "updated_at": record.updated_at,
        "updated_by": record.updated_by,
        "properties": dict(record.properties) or None,
        "metastore_id": METASTORE_ID,
        "full_name": record.full_name,
        "name": record.name,
    }


def clean(kind: Any, document: Json) -> Json:
    whole = kind.from_dict({k: v for k, v in document.items() if v is not None}).as_dict()
    return {k: v for k, v in whole.items() if v is not None}


def catalog_document(record: CatalogRecord) -> Json:
    return clean(
        sdk.CatalogInfo,
        {**ownership(record), "catalog_type": "MANAGED_CATALOG", "isolation_mode": "OPEN", "securable_type": "CATALOG"},
    )


def schema_document(record: SchemaRecord) -> Json:
    return clean(
        sdk.SchemaInfo,
        {
            **ownership(record),
            "catalog_name": record.catalog_name,
            "catalog_type": "MANAGED_CATALOG",
            "schema_id": record.id or None,
        },
    )


def table_document(record: TableRecord, *, columns: bool = True, properties: bool = True) -> Json:
    document = {
        **ownership(record),
        "catalog_name": record.catalog_name,
        "schema_name": record.schema_name,
        "table_type": record.table_type,
        "table_id": record.table_id,
        "pipeline_id": record.pipeline_id,
        "view_definition": record.view_definition,
        "storage_location": record.storage_location,
        "data_source_format": record.data_source_format if record.table_type != "VIEW" else None,
    }
    if not properties:
        document.pop("properties")
    if columns:
        document["columns"] = [
            {
                "name": c.name,
                "type_text": c.type_text,
                "type_json": c.type_json,
                "type_name": c.type_name,
                "position": c.position,
                "nullable": c.nullable,
                **({"comment": c.comment} if c.comment else {}),
                **({"partition_index": c.partition_index} if c.partition_index is not None else {}),
                **precision(c.type_text),
            }
            for c in record.columns
        ]
    return clean(sdk.TableInfo, document)


def precision(type_text: str) -> Json:
    found = re.fullmatch(r"decimal\((\d+),(\d+)\)", type_text)
    return {"type_precision": int(found[1]), "type_scale": int(found[2])} if found else {}


# -- catalogs, schemas ---------------------------------------------------------------------------------------------


@route("GET", f"{UC}/catalogs", sdk.CatalogsAPI.list)
def list_catalogs(call: Call) -> Json:
    return paged(call, visible(call, "CATALOG", catalog_of(call).list_catalogs()), "catalogs", catalog_document)


@route("GET", f"{UC}/catalogs/{{name}}", sdk.CatalogsAPI.get)
def get_catalog(call: Call) -> Json:
    with service_errors():
        record = catalog_of(call).get_catalog(call.params["name"])
        see(call, "CATALOG", record.name)
    return catalog_document(record)


def see(call: Call, kind: str, full_name: str) -> None:
    if kind == "METASTORE":
        return  # Everybody's: its summary and what one holds on it are shown to all.
    if not catalog_of(call).can_see(call.user, kind, full_name):
        name = {"CATALOG": "Catalog", "SCHEMA": "Schema", "TABLE": "Table"}[kind]
        raise ServiceError(
            "PERMISSION_DENIED", f"User does not have permission to see {name} '{full_name}'.", status=403
        )


def refuse_fields(call: Call, what: str, kept: set[str]) -> None:
    """Raises NOT_IMPLEMENTED for what the service would keep and the local workspace does not."""
    for name in sorted(set(call.body) - kept):
        if call.body[name] not in (None, "", {}, []):
            raise not_implemented(f"{what} with {name}")


@route("POST", f"{UC}/catalogs", sdk.CatalogsAPI.create)
def create_catalog(call: Call) -> Json:
    refuse_fields(call, "a catalog", {"name", "comment"})
    needs_spark(call)
    with service_errors():
        call.workspace.sql.create_catalog(call.need("name"), call.user, call.body.get("comment"))
        return catalog_document(catalog_of(call).get_catalog(call.need("name")))


@route("DELETE", f"{UC}/catalogs/{{name}}", sdk.CatalogsAPI.delete)
def delete_catalog(call: Call) -> Json:
    needs_spark(call)
    with service_errors():
        call.workspace.sql.drop_catalog(call.params["name"], call.user, force=call.bool("force"))
    return {}


@route("GET", f"{UC}/schemas", sdk.SchemasAPI.list)
def list_schemas(call: Call) -> Json:
    with service_errors():
        catalog_of(call).get_catalog(call.need("catalog_name"))
        found = catalog_of(call).list_schemas(call.need("catalog_name"))
    return paged(call, visible(call, "SCHEMA", found), "schemas", schema_document)


@route("GET", f"{UC}/schemas/{{full_name}}", sdk.SchemasAPI.get)
def get_schema(call: Call) -> Json:
    with service_errors():
        record = catalog_of(call).get_schema(call.params["full_name"])
        see(call, "SCHEMA", record.full_name)
    return schema_document(record)


@route("POST", f"{UC}/schemas", sdk.SchemasAPI.create)
def create_schema(call: Call) -> Json:
    refuse_fields(call, "a schema", {"name", "catalog_name", "comment"})
    needs_spark(call)
    with service_errors():
        name = f"{call.need('catalog_name')}.{call.need('name')}"
        return schema_document(call.workspace.sql.create_schema(name, call.user, call.body.get("comment")))


@route("DELETE", f"{UC}/schemas/{{full_name}}", sdk.SchemasAPI.delete)
def delete_schema(call: Call) -> Json:
    needs_spark(call)
    with service_errors():
        call.workspace.sql.drop_schema(call.params["full_name"], call.user, force=call.bool("force"))
    return {}


# -- tables --------------------------------------------------------------------------------------------------------


@route("GET", f"{UC}/tables", sdk.TablesAPI.list)
def list_tables(call: Call) -> Json:
    name = f"{call.need('catalog_name')}.{call.need('schema_name')}"
    with service_errors():
        catalog_of(call).get_schema(name)
        found = visible(call, "TABLE", catalog_of(call).list_tables(name))
    columns, properties = not call.bool("omit_columns"), not call.bool("omit_properties")

    def one(record: TableRecord) -> Json:
        if columns and not record.columns and call.workspace.sql_ready.is_set():
            with service_errors():
                record = call.workspace.sql.table(record.full_name)
        document = table_document(record, columns=columns, properties=properties)
        return {k: v for k, v in document.items() if not (call.bool("omit_username") and k in USER_FIELDS)}

    return paged(call, found, "tables", one, most=50 if call.int("max_results", 0) else 10_000)


USER_FIELDS = ("owner", "created_by", "updated_by")


@route("GET", f"{UC}/table-summaries", sdk.TablesAPI.list_summaries)
def list_summaries(call: Call) -> Json:
    catalog = call.need("catalog_name")
    with service_errors():
        catalog_of(call).get_catalog(catalog)
        schemas = catalog_of(call).list_schemas(catalog)
        found = [
            t
            for s in schemas
            if like(s.name, call.text("schema_name_pattern"))
            for t in catalog_of(call).list_tables(s.full_name)
            if like(t.name, call.text("table_name_pattern"))
        ]
    return paged(
        call,
        visible(call, "TABLE", found),
        "tables",
        lambda t: {"full_name": t.full_name, "table_type": t.table_type},
        most=10_000,
    )


def like(name: str, pattern: str) -> bool:
    if not pattern:
        return True
    return re.fullmatch(re.escape(pattern).replace("%", ".*").replace("_", "."), name, re.I) is not None


@route("GET", f"{UC}/tables/{{full_name}}", sdk.TablesAPI.get)
def get_table(call: Call) -> Json:
    name = call.params["full_name"]
    with service_errors():
        record = catalog_of(call).get_table(name)
        see(call, "TABLE", record.full_name)
        if call.workspace.sql_ready.is_set():
            record = call.workspace.sql.table(record.full_name)
    return table_document(record)


@route("GET", f"{UC}/tables/{{full_name}}/exists", sdk.TablesAPI.exists)
def table_exists(call: Call) -> Json:
    with service_errors():
        found = catalog_of(call).find_table(call.params["full_name"])
    return {"table_exists": found is not None and catalog_of(call).can_see(call.user, "TABLE", found.full_name)}


@route("DELETE", f"{UC}/tables/{{full_name}}", sdk.TablesAPI.delete)
def delete_table(call: Call) -> Json:
    needs_spark(call)
    with service_errors():
        call.workspace.sql.drop_table(call.params["full_name"], call.user)
    return {}


# -- grants --------------------------------------------------------------------------------------------------------


def securable(call: Call) -> tuple[str, str]:
    kind, name = call.params["securable_type"].upper(), call.params["full_name"]
    if kind not in ("CATALOG", "SCHEMA", "TABLE", "METASTORE"):
        raise not_implemented(f"grants on a {kind}")
    if kind == "METASTORE" and name != METASTORE_ID:
        raise ServiceError("METASTORE_DOES_NOT_EXIST", f"Metastore '{name}' does not exist.", status=404)
    return kind, name


def by_principal(grants: Iterable[Grant]) -> dict[str, list[Grant]]:
    found: dict[str, list[Grant]] = {}
    for grant in grants:
        found.setdefault(grant.principal, []).append(grant)
    return found


def assignments(grants: Iterable[Grant]) -> Json:
    return {
        "privilege_assignments": [
            {"principal": p, "privileges": sorted(g.privilege.replace(" ", "_") for g in given)}
            for p, given in sorted(by_principal(grants).items())
        ]
    }


@route("GET", f"{UC}/permissions/{{securable_type}}/{{full_name}}", sdk.GrantsAPI.get)
def get_grants(call: Call) -> Json:
    kind, name = securable(call)
    with service_errors():
        grants = catalog_of(call).grants(kind, name, call.text("principal") or None)
        see(call, kind, name)
    return assignments(grants)


@route("PATCH", f"{UC}/permissions/{{securable_type}}/{{full_name}}", sdk.GrantsAPI.update)
def update_grants(call: Call) -> Json:
    kind, name = securable(call)
    changes = []
    for change in call.body.get("changes") or []:
        principal = change.get("principal")
        if not principal:
            raise bad("Each change must name a principal.")
        if not may_be_granted(call.workspace.state, principal):
            raise ServiceError(
                "PRINCIPAL_DOES_NOT_EXIST", f"Could not find principal with name {principal}", status=404
            )
        changes.append((principal, spoken(change.get("add")), spoken(change.get("remove"))))
    with service_errors():
        return assignments(catalog_of(call).update_grants(kind, name, changes, call.user))


def spoken(privileges: Sequence[str] | None) -> list[str]:
    """`USE_SCHEMA` of the API is `USE SCHEMA` in SQL, which the catalog keeps."""
    return [p.replace("_", " ") for p in privileges or ()]


@route("GET", f"{UC}/effective-permissions/{{securable_type}}/{{full_name}}", sdk.GrantsAPI.get_effective)
def effective_grants(call: Call) -> Json:
    kind, name = securable(call)
    with service_errors():
        grants = catalog_of(call).effective_grants(kind, name, call.text("principal") or None)
        see(call, kind, name)
    return {
        "privilege_assignments": [
            {
                "principal": p,
                "privileges": [
                    {
                        "privilege": g.privilege.replace(" ", "_"),
                        **(
                            {"inherited_from_type": g.inherited_from[0], "inherited_from_name": g.inherited_from[1]}
                            if g.inherited_from
                            else {}
                        ),
                    }
                    for g in given
                ],
            }
            for p, given in sorted(by_principal(grants).items())
        ]
    }


# -- policies ------------------------------------------------------------------------------------------------------


@route("GET", f"{UC}/policies/{{on_securable_type}}/{{on_securable_fullname}}", sdk.PoliciesAPI.list_policies)
def list_policies(call: Call) -> Json:
    """There are none here, for none can be created; the list is shown to who has MANAGE or READ METADATA, as by
    the service."""
    policies_of(call)
    return {"policies": []}


@route("GET", f"{UC}/policies/{{on_securable_type}}/{{on_securable_fullname}}/{{name}}", sdk.PoliciesAPI.get_policy)
def get_policy(call: Call) -> Json:
    kind, on = policies_of(call)
    name = call.params["name"]
    raise ServiceError("NOT_FOUND", f"Policy '{name}' does not exist on {kind} '{on}'.", status=404)


def policies_of(call: Call) -> tuple[str, str]:
    kind, name = call.params["on_securable_type"].upper(), call.params["on_securable_fullname"]
    if kind not in ("CATALOG", "SCHEMA", "TABLE"):
        raise bad(f"Policies can be defined on CATALOG, SCHEMA and TABLE only, not on {kind}.")
    with service_errors():
        held = {g.privilege for g in catalog_of(call).effective_grants(kind, name, call.user)}
        if "READ_METADATA" not in held:
            catalog_of(call).require_manage(call.user, kind, name)
    return kind, name


# -- metastore, and what this workspace has none of ----------------------------------------------------------------


@route("GET", f"{UC}/metastore_summary", sdk.MetastoresAPI.summary)
def metastore_summary(call: Call) -> Json:
    return {
        "metastore_id": METASTORE_ID,
        "name": "local",
        "cloud": "local",
        "region": "local",
        "global_metastore_id": f"local:local:{METASTORE_ID}",
        "owner": "admins",
        "privilege_model_version": "1.0",
    }


@route("GET", f"{UC}/current-metastore-assignment", sdk.MetastoresAPI.current)
def current_metastore(call: Call) -> Json:
    return {"metastore_id": METASTORE_ID, "workspace_id": WORKSPACE_ID, "default_catalog_name": "main"}


@route("GET", f"{UC}/volumes", sdk.VolumesAPI.list)
def list_volumes(call: Call) -> Json:
    """There are no volumes here: the list of an existing schema is empty."""
    with service_errors():
        catalog_of(call).get_schema(f"{call.need('catalog_name')}.{call.need('schema_name')}")
    return {"volumes": []}
