"""What tests of comparisons on Spark and Delta share: a warehouse, and how its tables and views are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pyspark.sql import SparkSession

from tests.spark.validation_support import SCHEMA, SparkWarehouse


@pytest.fixture(scope="module")
def warehouse(spark_remote: str) -> Iterator[SparkWarehouse]:
    spark = SparkSession.builder.remote(spark_remote).create()
    spark.conf.set("spark.sql.shuffle.partitions", "1")
    # Planning each stage anew is a sixth of a comparison of some rows.
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    spark.sql(f"USE {SCHEMA}")
    yield SparkWarehouse(spark)
    spark.sql(f"DROP SCHEMA {SCHEMA} CASCADE")
    spark.stop()


@pytest.fixture
def table(warehouse: SparkWarehouse) -> Callable[[str, str], str]:
    """Makes a Delta table from a SELECT, or from a column list in brackets."""

    def make(name: str, body: str) -> str:
        create = f"CREATE OR REPLACE TABLE {name} "
        warehouse.spark.sql(create + (body if body.startswith("(") else f"AS {body}"))
        return f"{SCHEMA}.{name}"

    return make


@pytest.fixture
def view(warehouse: SparkWarehouse) -> Callable[[str, str], str]:
    def make(name: str, body: str) -> str:
        warehouse.spark.sql(f"CREATE OR REPLACE TEMP VIEW {name} AS {body}")
        return name

    return make
