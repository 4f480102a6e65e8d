"""One generation of rows: its size and times, and how a row number becomes values, a range or children."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.connect import functions as F

from demo.sources.values import Draw

GENERATION = 1_000_000_000
"""Row numbers of tick n begin at n times this; those of the first generation at 0."""

DAYS = 730
"""Days that the data reaches back from `as_of`."""

ROWS_PER_PARTITION = 100_000


@dataclass(frozen=True)
class Generation:
    """The frames of one generation of rows.

    number: 0 for the first generation, else that of the tick.
    entries: entries of this generation; base_entries: of the first one, which decides how many properties there are.
    start, end: microseconds between which the generation's folders were made; nothing is later than `end`.
    returning: further entries, into folders of `origin`, the first generation.
    """

    spark: SparkSession
    seed: int
    number: int
    entries: int
    base_entries: int
    start: int
    end: int
    returning: int = 0
    origin: Generation | None = None
    _kept: list[DataFrame] = field(default_factory=list, repr=False, compare=False)

    def _keep(self, frame: DataFrame) -> DataFrame:
        """A frame that many tables are made from: computed once, and a wall that no filter is pushed through.

        Without it, every filter of a child copies the whole chain of an entry's expressions into itself.
        """
        kept = frame.persist()
        self._kept.append(kept)
        return kept

    def release(self) -> None:
        """Gives back what was kept in Spark's memory; call it when all tables are written."""
        while self._kept:
            self._kept.pop().unpersist()

    @property
    def first(self) -> int:
        return self.number * GENERATION

    def draw(self, table: str, key: Column) -> Draw:
        return Draw(self.seed, table, key)

    def _range(self, count: int, start: int = 0) -> DataFrame:
        parts = max(1, -(-count // ROWS_PER_PARTITION))
        return self.spark.range(start, start + count, 1, parts).withColumnRenamed("id", "key")

    @staticmethod
    def _children(frame: DataFrame, factor: int, count: Column) -> DataFrame:
        """`count` rows (below `factor`) for each row; `key` becomes the child's and `parent` the parent's."""
        many = frame.withColumn("count", count.cast("int")).where("count > 0")
        return (
            many.withColumn("n", F.explode(F.sequence(F.lit(0), F.col("count") - 1)))
            .withColumn("n", F.col("n").cast("bigint"))
            .withColumn("parent", F.col("key"))
            .withColumn("key", F.col("parent") * factor + F.col("n"))
            .drop("count")
        )


def given(key: Column, values: dict[int, str], otherwise: Column) -> Column:
    """The value that a row number has been given by hand, else the drawn one."""
    (k, v), *others = values.items()
    chosen = F.when(key == k, F.lit(v))
    for k, v in others:
        chosen = chosen.when(key == k, F.lit(v))
    return chosen.otherwise(otherwise)


def ints(values: Sequence[int]) -> Column:
    """An array of numbers."""
    return F.array(*(F.lit(v) for v in values))
