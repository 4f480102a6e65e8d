"""A pipeline's tables refuse what the service refuses: they are the pipeline's to write, replace and drop."""

from __future__ import annotations

import pytest
from databricks.sql.exc import ServerOperationError

from scripts.local_workspace import LocalWorkspace

TABLE = "product.fde.dlt_v2_dim_fde"
OWNED = "MATERIALIZED_VIEW_OPERATION_NOT_ALLOWED"


@pytest.mark.timeout(300)
def test_a_pipelines_table_refuses_what_the_service_refuses(workspace: LocalWorkspace) -> None:
    with workspace.endpoint.sql() as connection, connection.cursor() as cursor:
        before = cursor.execute(f"SELECT count(*) FROM {TABLE}").fetchall()
        for text, error_class in (
            (f"ALTER TABLE {TABLE} RENAME TO product.fde.elsewhere", OWNED),
            (f"DROP TABLE {TABLE}", OWNED),
            (f"DROP VIEW {TABLE}", OWNED),
            (f"CREATE OR REPLACE TABLE {TABLE} (a INT)", OWNED),
            (f"CREATE OR REPLACE VIEW {TABLE} AS SELECT 1", OWNED),
            (f"ALTER VIEW {TABLE} AS SELECT 1", OWNED),
            (f"INSERT INTO {TABLE} SELECT * FROM {TABLE}", OWNED),
            (f"DELETE FROM {TABLE}", OWNED),
            (f"CREATE TABLE {TABLE} (a INT)", "TABLE_OR_VIEW_ALREADY_EXISTS"),
            (f"SELECT * FROM {TABLE} VERSION AS OF 0", "UNSUPPORTED_FEATURE.TIME_TRAVEL"),
            (f"DESCRIBE HISTORY {TABLE}", "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE"),
        ):
            with pytest.raises(ServerOperationError) as caught:
                cursor.execute(text)
            assert str(caught.value).startswith(f"[{error_class}]"), text
        assert cursor.execute(f"SELECT count(*) FROM {TABLE}").fetchall() == before
