"""Runs are real: notebooks execute in Spark, updates write and publish tables; all through the real SDK and connector."""

from __future__ import annotations

import base64
import textwrap
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, NotFound, ResourceConflict
from databricks.sdk.service import catalog, jobs, pipelines
from databricks.sdk.service import workspace as tree
from databricks.sql import ServerOperationError

from scripts.local_workspace import LocalWorkspace

pytestmark = pytest.mark.timeout(600)
CATALOG = f"contract_rest_{uuid.uuid4().hex[:6]}"
SCHEMA = f"{CATALOG}.runs"
ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")


@pytest.fixture(scope="module")
def client(raw_workspace: LocalWorkspace) -> WorkspaceClient:
    return raw_workspace.endpoint.workspace()


@pytest.fixture(scope="module")
def sql(raw_workspace: LocalWorkspace) -> Iterator[Any]:
    """Runs one statement and gives its rows as tuples."""
    with raw_workspace.endpoint.sql() as connection, connection.cursor() as cursor:

        def run(text: str) -> list[tuple[Any, ...]]:
            cursor.execute(text)
            return [tuple(r) for r in cursor.fetchall()] if cursor.description else []

        run(f"CREATE CATALOG IF NOT EXISTS {CATALOG}")
        run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        yield run


def put(client: WorkspaceClient, path: str, text: str, language: str = "PYTHON") -> str:
    client.workspace.mkdirs(path.rsplit("/", 1)[0])
    client.workspace.import_(
        path,
        content=base64.b64encode(textwrap.dedent(text).lstrip().encode()).decode(),
        format=tree.ImportFormat.SOURCE,
        language=tree.Language(language),
        overwrite=True,
    )
    return path


def task(key: str, path: str, *after: str, **more: Any) -> jobs.Task:
    return jobs.Task(
        task_key=key,
        notebook_task=jobs.NotebookTask(notebook_path=path, base_parameters=more.pop("parameters", None)),
        depends_on=[jobs.TaskDependency(task_key=a) for a in after],
        **more,
    )


def ended(client: WorkspaceClient, run_id: int, seconds: float = 300) -> jobs.Run:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run = client.jobs.get_run(run_id)
        if run.state.life_cycle_state.value in ENDED:
            return run
        time.sleep(0.2)
    raise AssertionError(f"run {run_id} did not end")


def run_of(client: WorkspaceClient, *tasks: jobs.Task, **more: Any) -> jobs.Run:
    job = client.jobs.create(name=f"contract {uuid.uuid4().hex[:6]}", tasks=list(tasks), **more)
    return ended(client, client.jobs.run_now(job.job_id).run_id)


def output_of(client: WorkspaceClient, run: jobs.Run, key: str) -> jobs.RunOutput:
    return client.jobs.get_run_output(next(t.run_id for t in run.tasks if t.task_key == key))


# -- notebooks -------------------------------------------------------------------------------------------------------------


def test_a_python_notebook_runs_in_spark_with_its_widgets(client: WorkspaceClient, sql: Any):
    path = put(
        client,
        "/Shared/contract/python",
        f"""
        # Databricks notebook source
        # MAGIC %md A heading

        # COMMAND ----------
        dbutils.widgets.text("who", "nobody")
        who = dbutils.widgets.get("who")

        # COMMAND ----------
        # MAGIC %sql
        # MAGIC CREATE OR REPLACE TABLE {SCHEMA}.greeting AS SELECT :who AS who, ';' AS semicolon;
        # MAGIC INSERT INTO {SCHEMA}.greeting VALUES ('${{who}} again', 'x')

        # COMMAND ----------
        rows = spark.table("{SCHEMA}.greeting").orderBy("who").collect()
        dbutils.notebook.exit(",".join(r.who for r in rows))
        """,
    )
    run = run_of(client, task("a", path, parameters={"who": "Zoë"}))
    assert run.state.result_state is jobs.RunResultState.SUCCESS, output_of(client, run, "a").error
    assert output_of(client, run, "a").notebook_output.result == "Zoë,Zoë again"
    assert sorted(sql(f"SELECT who FROM {SCHEMA}.greeting")) == [("Zoë",), ("Zoë again",)]


def test_the_next_run_takes_the_notebook_that_lies_there(client: WorkspaceClient):
    path = put(client, "/Shared/contract/changing", "# Databricks notebook source\ndbutils.notebook.exit('one')\n")
    job = client.jobs.create(name="changing", tasks=[task("a", path)])
    first = ended(client, client.jobs.run_now(job.job_id).run_id)
    put(client, path, "# Databricks notebook source\ndbutils.notebook.exit('two')\n")
    second = ended(client, client.jobs.run_now(job.job_id).run_id)
    found = [output_of(client, r, "a").notebook_output.result for r in (first, second)]
    assert found == ["one", "two"]


def test_a_sql_notebook_runs_its_statements_in_order(client: WorkspaceClient, sql: Any):
    path = put(
        client,
        "/Shared/contract/statements",
        f"""
        -- Databricks notebook source
        -- a comment; with a semicolon
        CREATE OR REPLACE TEMPORARY VIEW numbers AS SELECT id FROM range(10);
        CREATE OR REPLACE TABLE {SCHEMA}.numbers AS SELECT id, 'a;b' AS text FROM numbers;

        -- COMMAND ----------
        DELETE FROM {SCHEMA}.numbers WHERE id < 4;
        SELECT count(*) FROM {SCHEMA}.numbers
        """,
        "SQL",
    )
    run = run_of(client, task("a", path))
    assert run.state.result_state is jobs.RunResultState.SUCCESS, output_of(client, run, "a").error
    assert sql(f"SELECT count(*), min(text) FROM {SCHEMA}.numbers") == [(6, "a;b")]


def test_notebooks_call_one_another_and_tasks_pass_values(client: WorkspaceClient):
    put(client, "/Shared/contract/common", "# Databricks notebook source\ndef twice(x):\n    return 2 * x\n")
    put(
        client,
        "/Shared/contract/called",
        "# Databricks notebook source\ndbutils.notebook.exit('called with ' + dbutils.widgets.get('n'))\n",
    )
    caller = put(
        client,
        "/Shared/contract/caller",
        """
        # Databricks notebook source
        # MAGIC %run ./common

        # COMMAND ----------
        answer = dbutils.notebook.run("called", 60, {"n": twice(21)})
        dbutils.jobs.taskValues.set("answer", answer)
        """,
    )
    reader = put(
        client,
        "/Shared/contract/reader",
        """
        # Databricks notebook source
        given = dbutils.widgets.get("given")
        read = dbutils.jobs.taskValues.get("caller", "answer")
        dbutils.notebook.exit(f"{given}|{read}")
        """,
    )
    run = run_of(
        client,
        task("caller", caller),
        task("reader", reader, "caller", parameters={"given": "{{tasks.caller.values.answer}}"}),
    )
    assert run.state.result_state is jobs.RunResultState.SUCCESS, output_of(client, run, "caller").error
    assert output_of(client, run, "reader").notebook_output.result == "called with 42|called with 42"


def test_a_failing_notebook_says_what_spark_said(client: WorkspaceClient):
    path = put(
        client,
        "/Shared/contract/failing",
        f"""
        # Databricks notebook source
        def read():
            return spark.sql("SELECT * FROM {SCHEMA}.not_there")

        read().collect()
        """,
    )
    run = run_of(client, task("a", path))
    assert run.state.result_state is jobs.RunResultState.FAILED
    output = output_of(client, run, "a")
    assert "[TABLE_OR_VIEW_NOT_FOUND]" in output.error
    assert f"`{CATALOG}`.`runs`.`not_there`" in output.error
    assert "in read" in output.error_trace
    assert "emulator" not in output.error_trace


def test_cancel_stops_the_query_in_spark(client: WorkspaceClient, sql: Any):
    path = put(
        client,
        "/Shared/contract/endless",
        "# Databricks notebook source\nspark.sql('SELECT sum(sin(id)) FROM range(100000000000000)').collect()\n",
    )
    job = client.jobs.create(name="endless", tasks=[task("a", path)])
    run_id = client.jobs.run_now(job.job_id).run_id
    end = time.monotonic() + 60
    while client.jobs.get_run(run_id).tasks[0].state.life_cycle_state.value != "RUNNING":
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(3)
    client.jobs.cancel_run(run_id)
    run = ended(client, run_id, 60)
    assert run.state.result_state is jobs.RunResultState.CANCELED
    before = time.monotonic()
    assert sql("SELECT sum(id) FROM range(10)") == [(45,)]
    assert time.monotonic() - before < 300, "the query would go on for days, and nothing else could run"


def test_a_run_is_in_the_system_tables_with_its_lineage(client: WorkspaceClient, sql: Any):
    path = put(
        client,
        "/Shared/contract/lineage",
        f"""
        -- Databricks notebook source
        CREATE OR REPLACE TABLE {SCHEMA}.source AS SELECT 1 AS a;
        CREATE OR REPLACE TABLE {SCHEMA}.target AS SELECT a FROM {SCHEMA}.source
        """,
        "SQL",
    )
    run = run_of(client, task("a", path))
    state = sql(f"SELECT result_state FROM system.lakeflow.job_run_timeline WHERE run_id = '{run.run_id}'")
    assert ("SUCCEEDED",) in state
    found = sql(
        "SELECT entity_type, entity_metadata.job_info.job_run_id FROM system.access.table_lineage "
        f"WHERE source_table_full_name = '{SCHEMA}.source' AND target_table_full_name = '{SCHEMA}.target'"
    )
    assert found == [("NOTEBOOK", str(run.run_id))]


# -- pipelines -------------------------------------------------------------------------------------------------------------

HEAD = """
from pyspark import pipelines as dp
from pyspark.sql import functions as F
"""
TWO_TABLES = (
    HEAD
    + f"""
@dp.temporary_view
def raw():
    return spark.read.table("{SCHEMA}.feed")

@dp.materialized_view(name="clean", comment="Cleaned")
def clean():
    return spark.read.table("raw").where("amount is not null")

@dp.materialized_view(name="__expectations__clean")
def checks():
    return spark.sql(
        "SELECT 'clean' dataset, 'has_amount' name, 'drop' action,"
        " count_if(amount IS NOT NULL) passed_records, count_if(amount IS NULL) failed_records"
        " FROM {SCHEMA}.feed"
        " UNION ALL SELECT 'raw', 'has_key', 'warn', count(k), count_if(k IS NULL) FROM {SCHEMA}.feed")

@dp.materialized_view(name="totals")
def totals():
    return spark.sql("SELECT k, sum(amount) AS amount FROM clean GROUP BY k")
"""
)


class Pipeline:
    """One pipeline of the tests, with a folder of its own and a schema of its own."""

    def __init__(self, client: WorkspaceClient, sql: Any, name: str) -> None:
        self.client, self.sql = client, sql
        self.folder = f"/Shared/{CATALOG}/pipelines/{name}"
        self.schema = f"{CATALOG}.{name}"
        sql(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
        self.source("pass\n")
        self.id = str(
            client.pipelines.create(
                name=f"{CATALOG} {name}",
                catalog=CATALOG,
                schema=name,
                root_path=self.folder,
                libraries=[pipelines.PipelineLibrary(glob=pipelines.PathPattern(include=f"{self.folder}/**"))],
                configuration={"greeting": "hello"},
            ).pipeline_id
        )

    def source(self, text: str) -> None:
        self.client.workspace.mkdirs(self.folder)
        content = base64.b64encode(text.encode()).decode()
        self.client.workspace.import_(
            f"{self.folder}/pipeline.py", content=content, format=tree.ImportFormat.RAW, overwrite=True
        )

    def update(self, **request: Any) -> str:
        """Runs an update to its end; its state."""
        self.update_id = str(self.client.pipelines.start_update(self.id, **request).update_id)
        return self.wait()

    def wait(self, seconds: float = 300) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            state = self.client.pipelines.get_update(self.id, self.update_id).update.state.value
            if state in ("COMPLETED", "FAILED", "CANCELED"):
                return str(state)
            time.sleep(0.2)
        raise AssertionError(f"update {self.update_id} did not end")

    def events(self, event_type: str | None = None) -> list[dict[str, Any]]:
        """Events of the last update, oldest first."""
        path, query = f"/api/2.0/pipelines/{self.id}/events", {"max_results": 250, "order_by": "timestamp asc"}
        query["filter"] = f"update_id = '{self.update_id}'"
        found = self.client.api_client.do("GET", path, query=query)["events"]
        return [e for e in found if event_type in (None, e["event_type"])]

    def error(self) -> str:
        errors = [e["error"]["exceptions"][-1]["message"] for e in self.events() if e.get("error")]
        return errors[0] if errors else ""


@pytest.fixture(scope="module")
def feed(sql: Any) -> str:
    sql(f"CREATE OR REPLACE TABLE {SCHEMA}.feed AS SELECT id % 3 AS k, IF(id = 5, NULL, id) AS amount FROM range(10)")
    return f"{SCHEMA}.feed"


@pytest.fixture(scope="module")
def two(client: WorkspaceClient, sql: Any, feed: str) -> Pipeline:
    """A pipeline of two tables that has completed one update."""
    made = Pipeline(client, sql, "two")
    made.source(TWO_TABLES)
    assert made.update() == "COMPLETED", made.error()
    return made


def test_an_update_publishes_materialized_views(two: Pipeline, client: WorkspaceClient, sql: Any):
    assert sql(f"SELECT k, amount FROM {two.schema}.totals ORDER BY k") == [(0, 18), (1, 12), (2, 10)]
    table = client.tables.get(f"{two.schema}.clean")
    assert (table.table_type, table.pipeline_id) == (catalog.TableType.MATERIALIZED_VIEW, two.id)
    assert table.comment == "Cleaned"
    assert [c.name for c in table.columns] == ["k", "amount"]
    names = [t.name for t in client.tables.list(CATALOG, "two")]
    assert sorted(names) == ["clean", "totals"], "neither views nor tables of expectations are published"


def test_the_event_log_tells_states_rows_and_quality(two: Pipeline):
    assert two.update() == "COMPLETED", two.error()
    states = [e["details"]["update_progress"]["state"] for e in two.events("update_progress")]
    assert states == ["WAITING_FOR_RESOURCES", "INITIALIZING", "SETTING_UP_TABLES", "RUNNING", "COMPLETED"]
    progress = {
        e["origin"]["flow_name"]: e["details"]["flow_progress"]
        for e in two.events("flow_progress")
        if e["details"]["flow_progress"]["status"] == "COMPLETED"
    }
    assert progress[f"{two.schema}.clean"]["metrics"]["num_output_rows"] == 9
    assert progress[f"{two.schema}.clean"]["data_quality"] == {
        "dropped_records": 1,
        "expectations": [
            {"name": "has_amount", "dataset": f"{two.schema}.clean", "passed_records": 9, "failed_records": 1}
        ],
    }
    assert progress[f"{two.schema}.totals"]["metrics"]["num_output_rows"] == 3
    assert progress[f"{two.schema}.raw"] == {
        "status": "COMPLETED",
        "data_quality": {
            "dropped_records": 0,
            "expectations": [
                {"name": "has_key", "dataset": f"{two.schema}.raw", "passed_records": 10, "failed_records": 0}
            ],
        },
    }, "a view, whose counts stand with the table's, writes no rows"
    inputs = {
        e["details"]["flow_definition"]["output_dataset"]: [
            i["name"] for i in e["details"]["flow_definition"]["input_datasets"]
        ]
        for e in two.events("flow_definition")
    }
    assert inputs[f"{two.schema}.totals"] == [f"{two.schema}.clean"]
    assert inputs[f"{two.schema}.raw"] == [f"{SCHEMA}.feed"]


def test_a_second_update_is_refused_and_a_stop_cancels(two: Pipeline, client: WorkspaceClient, sql: Any):
    before = sql(f"SELECT * FROM {two.schema}.totals ORDER BY k")
    slow = TWO_TABLES + "\n@dp.materialized_view(name='endless')\ndef endless():\n"
    slow += "    return spark.range(10**14).selectExpr('sum(sin(id)) AS s')\n"
    two.source(slow)
    two.update_id = str(client.pipelines.start_update(two.id).update_id)
    with pytest.raises(ResourceConflict, match=two.update_id):
        client.pipelines.start_update(two.id)
    end = time.monotonic() + 120
    while not any(e["origin"].get("flow_name") == f"{two.schema}.endless" for e in two.events("flow_progress")):
        assert time.monotonic() < end
        time.sleep(0.3)
    time.sleep(2)
    client.pipelines.stop(two.id)
    assert two.wait(30) == "CANCELED"
    assert client.pipelines.get(two.id).state is pipelines.PipelineState.IDLE
    assert sql(f"SELECT * FROM {two.schema}.totals ORDER BY k") == before
    with pytest.raises(NotFound):
        client.tables.get(f"{two.schema}.endless")
    # Nothing of the stopped flow, which would have run for days, is in the way of the next update.
    two.source(TWO_TABLES)
    assert two.update() == "COMPLETED", two.error()


def test_validation_publishes_nothing(two: Pipeline, client: WorkspaceClient):
    two.source(TWO_TABLES + "\n@dp.materialized_view\ndef extra():\n    return spark.range(3)\n")
    assert two.update(validate_only=True) == "COMPLETED", two.error()
    with pytest.raises(NotFound):
        client.tables.get(f"{two.schema}.extra")
    two.source(TWO_TABLES + "\n@dp.materialized_view\ndef extra():\n    return spark.read.table('no.such.table')\n")
    assert two.update(validate_only=True) == "FAILED"
    assert "no" in two.error()
    two.source(TWO_TABLES)


def test_a_selection_refreshes_only_what_was_selected(two: Pipeline, sql: Any, feed: str):
    assert two.update() == "COMPLETED", two.error()
    sql(f"INSERT INTO {feed} VALUES (0, 1000)")
    assert two.update(refresh_selection=["clean"]) == "COMPLETED", two.error()
    assert sql(f"SELECT count(*) FROM {two.schema}.clean") == [(10,)]
    assert sql(f"SELECT max(amount) FROM {two.schema}.totals") == [(18,)]
    assert two.update(full_refresh=True) == "COMPLETED", two.error()
    assert sql(f"SELECT max(amount) FROM {two.schema}.totals") == [(1018,)]
    assert two.update(refresh_selection=["nothing"]) == "FAILED"
    assert "nothing" in two.error()
    sql(f"DELETE FROM {feed} WHERE amount = 1000")
    assert two.update() == "COMPLETED", two.error()


def test_columns_may_change_from_update_to_update(client: WorkspaceClient, sql: Any):
    changing = Pipeline(client, sql, "changing")
    text = HEAD + "\n@dp.materialized_view\ndef t():\n    return spark.sql('{query}')\n"
    for query, rows in (
        ("SELECT 1 AS a, 2 AS b", [(1, 2)]),
        ("SELECT 1 AS a, 2 AS b, 3 AS c", [(1, 2, 3)]),
        ('SELECT 3 AS c, "x" AS a', [(3, "x")]),
        ("SELECT true AS a", [(True,)]),
    ):
        changing.source(text.replace("{query}", query))
        assert changing.update() == "COMPLETED", changing.error()
        assert sql(f"SELECT * FROM {changing.schema}.t") == rows


def test_a_failed_update_leaves_what_was_published(client: WorkspaceClient, sql: Any):
    failing = Pipeline(client, sql, "failing")
    good = HEAD + "\n@dp.materialized_view\ndef t():\n    return spark.range(3)\n"
    failing.source(good)
    assert failing.update() == "COMPLETED", failing.error()
    violated = "[EXPECTATION_VIOLATION.VERBOSITY_NONE] Flow t failed to meet the expectation. Violated expectations: ok"
    failing.source(
        good.replace(
            "spark.range(3)", f"spark.range(9).selectExpr(\"if(id > 5, raise_error('{violated}'), id) AS id\")"
        )
    )
    assert failing.update() == "FAILED"
    assert "Violated expectations: ok" in failing.error()
    flows = [e for e in failing.events("flow_progress") if e["details"]["flow_progress"]["status"] == "FAILED"]
    assert [f["origin"]["flow_name"] for f in flows] == [f"{failing.schema}.t"]
    assert client.pipelines.get(failing.id).health is pipelines.GetPipelineResponseHealth.UNHEALTHY
    assert sql(f"SELECT count(*) FROM {failing.schema}.t") == [(3,)]
    failing.source("import no_such_module\n")
    assert failing.update() == "FAILED"
    assert "no_such_module" in failing.error()


def test_a_pipeline_does_not_take_the_name_of_an_ordinary_table(client: WorkspaceClient, sql: Any):
    taking = Pipeline(client, sql, "taking")
    sql(f"CREATE OR REPLACE TABLE {taking.schema}.t AS SELECT 'mine' AS owner")
    taking.source(HEAD + "\n@dp.materialized_view\ndef t():\n    return spark.range(3)\n")
    assert taking.update() == "FAILED"
    assert "ALREADY_EXISTS" in taking.error()
    assert sql(f"SELECT owner FROM {taking.schema}.t") == [("mine",)]


def test_a_pipelines_table_is_its_own(two: Pipeline, sql: Any):
    for statement in (
        f"ALTER TABLE {two.schema}.totals RENAME TO {two.schema}.other",
        f"DROP TABLE {two.schema}.totals",
        f"INSERT INTO {two.schema}.totals VALUES (9, 9)",
        f"SELECT * FROM {two.schema}.totals VERSION AS OF 0",
    ):
        with pytest.raises(ServerOperationError):
            sql(statement)
    assert sql(f"SELECT count(*) FROM {two.schema}.totals") == [(3,)]


def test_configuration_reaches_the_source(client: WorkspaceClient, sql: Any):
    configured = Pipeline(client, sql, "configured")
    configured.source(
        HEAD
        + "greeting = spark.conf.get('greeting', None) or spark.conf.get('spark.greeting')\n"
        + "@dp.materialized_view\ndef t():\n    return spark.range(1).select(F.lit(greeting).alias('g'))\n"
    )
    assert configured.update() == "COMPLETED", configured.error()
    assert sql(f"SELECT g FROM {configured.schema}.t") == [("hello",)]


def test_a_pipeline_task_is_an_update_of_the_run(two: Pipeline, client: WorkspaceClient, sql: Any):
    one = jobs.Task(task_key="update", pipeline_task=jobs.PipelineTask(pipeline_id=two.id))
    run = run_of(client, one)
    assert run.state.result_state is jobs.RunResultState.SUCCESS
    newest = client.pipelines.list_updates(two.id, max_results=1).updates[0]
    assert (newest.cause.value, newest.state.value) == ("JOB_TASK", "COMPLETED")
    tied = sql(
        "SELECT DISTINCT trigger_details.job_task.job_task_run_id FROM system.lakeflow.pipeline_update_timeline "
        f"WHERE update_id = '{newest.update_id}'"
    )
    assert tied == [(str(run.tasks[0].run_id),)]


def test_deleting_a_pipeline_deletes_its_tables(client: WorkspaceClient, sql: Any):
    gone = Pipeline(client, sql, "gone")
    gone.source(HEAD + "\n@dp.materialized_view\ndef t():\n    return spark.range(3)\n")
    assert gone.update() == "COMPLETED", gone.error()
    client.pipelines.delete(gone.id)
    with pytest.raises(DatabricksError):
        client.tables.get(f"{gone.schema}.t")
    with pytest.raises(ServerOperationError):
        sql(f"SELECT * FROM {gone.schema}.t")
