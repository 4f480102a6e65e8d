"""Generated rows below an entry: applicants, proofs, submissions, and the sources of a submission's documents."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from pyspark.sql import Column, DataFrame
from pyspark.sql.connect import functions as F

from demo.sources import vocabulary as words
from demo.sources.entries import RULINGS, Entries
from demo.sources.schemas import SOURCE_TYPES
from demo.sources.values import DAY, HOUR, MINUTE, SECOND, timestamp

_SOURCES: dict[str | None, float] = dict(zip(SOURCE_TYPES, (62, 13, 25), strict=True))


class Documents(Entries):
    """The frames of applicants, proofs, submissions and document sources."""

    def _of_entry(self, table: str, factor: int, weights: Sequence[float]) -> DataFrame:
        d = self.draw("entries", F.col("key"))
        return self._children(self._entries, factor, d.step(f"count of {table}", weights))

    @cached_property
    def _applicants(self) -> DataFrame:
        return self._of_entry("applicants", 8, (1, 78, 16, 4, 1))

    def applicants(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("applicants", key)
        first = d.pick("first_name", words.FIRST_NAMES)
        # Most of a household share a name.
        last = F.when(d.chance("own name", 0.3), d.pick("last_name", words.LAST_NAMES)).otherwise(
            self.last_name(F.col("folder"))
        )
        middle = F.when(d.chance("middle", 0.35), d.pick("middle_initial", list("ABCDEFGHJKLMNOPRSTVWÉØ")))
        number = d.below("phone.number", 10_000).cast("string")
        return self._applicants.select(
            d.uuid().alias("id"),
            self.entry_id(F.col("parent")).alias("entry_id"),
            F.concat_ws(" ", first, middle, last).alias("full_name"),
            first.alias("first_name"),
            middle.alias("middle_initial"),
            F.when(d.chance("last_name.some", 0.995), last).alias("last_name"),
            F.when(
                d.chance("email", 0.97),
                F.concat(
                    F.lit("applicant."),
                    F.lower(d.short("email.name", 8)),
                    d.pick("email.at", ("@example.com", "@example.org")),
                ),
            ).alias("email"),
            F.when(
                d.chance("phone", 0.8),
                F.when(d.chance("phone.plain", 0.7), F.concat(F.lit("555010"), F.lpad(number, 4, "0"))).otherwise(
                    F.concat(F.lit("+1 (555) 010-"), F.lpad(number, 4, "0"))
                ),
            )
            .when(d.chance("phone.empty", 0.2), F.lit(""))
            .alias("phone"),
            d.flag("notification", 0.6, 0.05).alias("notification"),
            timestamp(F.col("at")).alias("inserted_at"),
            timestamp(d.after("updated_at", F.col("at"), 0, 2 * DAY, self.end, 3.0)).alias("updated_at"),
        )

    def proof_id(self, key: Column) -> Column:
        return self.draw("proof", key).uuid()

    @cached_property
    def _proof(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("proof", key)
        frame = self._of_entry("proof", 8, (2, 8, 25, 30, 20, 10, 5))
        altered = F.when(F.col("result") == "EDITED", 0.6).otherwise(0.004)
        return (
            frame.withColumn("type", d.choose("type", words.DOCUMENT_TYPES))
            .withColumn("given", d.after("inserted_at", F.col("at"), 0, 40 * MINUTE, self.end - SECOND))
            .withColumn(
                "ruling",
                F.when(d.unit("edited") < altered, F.lit("EDITED"))
                .when(F.col("reported").isNull() & d.chance("unruled", 0.8), F.lit(None).cast("string"))
                .otherwise(d.choose("result", {"CLEAN": 90, "UNDETERMINED": 9, None: 1})),
            )
        )

    def proof(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("proof", key)
        ruling, edited = F.col("ruling"), F.col("ruling") == "EDITED"
        reasons = F.slice(
            F.array(
                d.pick("reason.1", words.EDITED_REASONS),
                d.pick("reason.2", (*words.EDITED_REASONS, None)),
                d.pick("reason.3", words.EDITED_REASONS),
            ),
            1,
            (d.below("reasons", 3) + 1).cast("int"),
        )
        number = F.concat(F.lit("-"), F.col("n").cast("string"))
        return self._proof.select(
            self.proof_id(key).alias("id"),
            self.entry_id(F.col("parent")).alias("entry_id"),
            F.concat(
                F.lit("generated/"),
                d.short("file.folder", 6),
                F.lit("/"),
                F.when(d.chance("file.unicode", 0.06), F.lit("relevé n° ")).otherwise(F.col("type")),
                number,
                d.choose("file.ending", {".pdf": 90, ".PDF": 4, ".jpg": 6}),
            ).alias("file"),
            "type",
            d.flag("has_text", 0.85, 0.03).alias("has_text"),
            d.flag("has_password", 0.02, 0.03).alias("has_password_protection"),
            d.flag("too_long", 0.01, 0.03).alias("has_exceeded_page_limit"),
            timestamp(F.col("given")).alias("inserted_at"),
            timestamp(F.greatest(F.col("given"), F.coalesce(F.col("reported"), F.col("given")))).alias("updated_at"),
            d.short("short_id").alias("short_id"),
            F.when(d.chance("note", 0.05), d.pick("note.text", words.NOTES)).alias("note"),
            ruling.alias("result"),
            F.when(d.chance("suggested", 0.7), d.choose("suggested_ruling", RULINGS)).alias("suggested_ruling"),
            F.when(d.chance("test", 0.2), d.choose("test_suggested_ruling", RULINGS)).alias("test_suggested_ruling"),
            F.when(edited, reasons)
            .when(d.chance("no reasons", 0.3), F.array().cast("array<string>"))
            .alias("result_edited_reason"),
            F.when(ruling == "UNDETERMINED", d.pick("insufficient", words.INSUFFICIENT_REASONS)).alias(
                "result_insufficient_reason"
            ),
            F.when(
                d.chance("breakups", 0.5),
                F.concat(F.lit("generated/breakups/"), d.short("breakups.file"), F.lit(".json")),
            ).alias("text_breakups_file"),
            d.flag("automatic", 0.6, 0.04).alias("is_automatic_review"),
        )

    @cached_property
    def _submissions(self) -> DataFrame:
        d = self.draw("applicants", F.col("key"))
        frame = self._children(
            self._applicants.drop("parent", "n"), 4, d.step("count of applicant_submissions", (3, 85, 10, 2))
        )
        own = self.draw("applicant_submissions", F.col("key"))
        handed = own.after("inserted_at", F.coalesce(F.col("sent"), F.col("at")), 0, 6 * HOUR, self.end, 3.0)
        return self._keep(frame.withColumn("handed", handed).drop("folder", "status", "at"))

    def submission_id(self, key: Column) -> Column:
        return self.draw("applicant_submissions", key).uuid()

    def applicant_submissions(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("applicant_submissions", key)
        return self._submissions.select(
            self.submission_id(key).alias("id"),
            self.draw("applicants", F.col("parent")).uuid().alias("applicant_id"),
            timestamp(F.when(F.col("sent").isNotNull(), F.col("handed"))).alias("submitted_time"),
            d.flag("should_notify", 0.5, 0.05).alias("should_notify_applicant"),
            timestamp(F.col("handed")).alias("inserted_at"),
        )

    @cached_property
    def _sources(self) -> DataFrame:
        d = self.draw("applicant_submissions", F.col("key"))
        frame = self._children(
            self._submissions.drop("parent", "n"), 4, d.step("count of document sources", (2, 75, 18, 5))
        )
        own = self.draw("applicant_submission_document_sources", F.col("key"))
        kind = own.choose("source_type", _SOURCES)
        return self._keep(frame.withColumn("source", kind))

    def source_id(self, key: Column) -> Column:
        return self.draw("applicant_submission_document_sources", key).uuid()

    def document_sources(self) -> DataFrame:
        return self._sources.select(
            self.source_id(F.col("key")).alias("id"),
            self.submission_id(F.col("parent")).alias("applicant_submission_id"),
            F.col("source").alias("source_type"),
            timestamp(F.col("handed")).alias("inserted_at"),
        )
