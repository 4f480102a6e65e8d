"""Generated income, asset and fraud verifications: requests, reviews, results and calculations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from pyspark.sql import Column, DataFrame
from pyspark.sql.connect import functions as F

from demo.sources import vocabulary as words
from demo.sources.documents import Documents
from demo.sources.entries import reviewer
from demo.sources.generation import ints
from demo.sources.schemas import ELIGIBILITIES, FRAUD_RESULT_TYPES
from demo.sources.values import DAY, HOUR, MINUTE, SECOND, timestamp

_ELIGIBILITY: dict[str | None, float] = {**dict(zip(ELIGIBILITIES, (78, 9, 12), strict=True)), None: 1}
_INCOME_RESULTS = (25, 50, 20, 5)


class Verification(Documents):
    """The frames of verifications, their results and calculations, payroll accounts and fraud results."""

    def _verifications(self, table: str, share: float) -> DataFrame:
        """The document sources for which a verification was requested; `key` is the source's own."""
        d = self.draw(table, F.col("key"))
        return (
            self._sources.where(F.col("sent").isNotNull() & d.chance("asked", share))
            .withColumn("asked", d.after("inserted_at", F.col("handed"), SECOND, 30 * MINUTE, self.end))
            .withColumn("eligibility", d.choose("eligibility", _ELIGIBILITY))
        )

    def verification_submissions(self, table: str, share: float) -> DataFrame:
        d = self.draw(table, F.col("key"))
        # parent is the applicant's submission, its parent the applicant, whose parent is the entry.
        entry = F.floor(F.col("key") / (4 * 4 * 8)).cast("bigint")
        return self._verifications(table, share).select(
            d.uuid().alias("id"),
            self.entry_id(entry).alias("entry_id"),
            self.source_id(F.col("key")).alias("applicant_submission_document_source_id"),
            F.col("eligibility").alias("review_eligibility"),
            F.when(F.col("eligibility") == "REJECTED", d.pick("reason", words.REJECTION_REASONS)).alias(
                "rejection_reason"
            ),
            timestamp(F.col("asked")).alias("inserted_at"),
        )

    @cached_property
    def _reviews(self) -> DataFrame:
        table = "income_verification_submissions"
        d = self.draw(table, F.col("key"))
        frame = self._children(
            self._verifications(table, 0.4).drop("parent", "n"), 4, d.step("count of reviews", (4, 78, 15, 3))
        )
        own = self.draw("income_verification_reviews", F.col("key"))
        assigned = own.after("assigned_date", F.col("asked"), 0, HOUR, self.end, 2.0, wait=F.col("n") * 2 * HOUR)
        return frame.withColumn("assigned", assigned).withColumn("calculated", own.chance("calculated", 0.85))

    def reviews(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("income_verification_reviews", key)
        done = d.after("completed_date", F.col("assigned"), SECOND, 18 * HOUR, self.end, 4.0)
        status = F.when(
            F.col("assigned") > self.end - 12 * HOUR, d.choose("status.new", {"COMPLETED": 1, "PENDING": 1})
        )
        frame = self._reviews.withColumn(
            "status",
            status.otherwise(d.choose("status", {"COMPLETED": 94, "PENDING": 3, "CANCELLED": 3})),
        )
        return frame.select(
            d.uuid().alias("id"),
            self.draw("income_verification_submissions", F.col("parent"))
            .uuid()
            .alias("income_verification_submission_id"),
            F.when(d.chance("manual", 0.4), reviewer(d)).alias("reviewer_id"),
            F.when(F.col("calculated"), self.calculation_id(key * 2)).alias("calculation_id"),
            "status",
            F.when(F.col("n") == 0, F.lit("INITIAL")).otherwise(F.lit("ESCALATION")).alias("type"),
            F.when(d.chance("manual", 0.4), F.lit("MANUAL")).otherwise(F.lit("AUTOMATED")).alias("review_method"),
            F.when(d.chance("rejected", 0.12), d.pick("reason", words.REJECTION_REASONS)).alias("rejection_reason"),
            timestamp(F.col("assigned")).alias("assigned_date"),
            timestamp(F.when(F.col("status") == "COMPLETED", done)).alias("completed_date"),
        )

    def _results(self, table: str, weights: Sequence[float]) -> DataFrame:
        d = self.draw("applicant_submissions", F.col("key"))
        frame = self._children(
            self._submissions.where(F.col("sent").isNotNull()).drop("parent", "n"),
            8,
            d.step(f"count of {table}", weights),
        )
        own = self.draw(table, F.col("key"))
        # Now and then two results of one submission bear the same time.
        apart = F.when(own.chance("tie", 0.05), 0).otherwise(F.col("n") * 10 * MINUTE)
        at = self.draw(table, F.col("parent")).after(
            "inserted_at", F.col("handed"), MINUTE, 8 * HOUR, self.end - HOUR, 2.0
        )
        return (
            frame.withColumn("found", F.least(at + apart, F.lit(self.end)))
            .withColumn("eligibility", own.choose("eligibility", _ELIGIBILITY))
            .withColumn("calculated", own.chance("calculated", 0.5))
        )

    def _verification_results(self, table: str, weights: Sequence[float]) -> DataFrame:
        d = self.draw(table, F.col("key"))
        rejected = F.slice(
            F.array(d.pick("reason.1", words.REJECTION_REASONS), d.pick("reason.2", words.REJECTION_REASONS)),
            1,
            (d.below("reasons", 2) + 1).cast("int"),
        )
        return self._results(table, weights).select(
            F.col("key").alias("id"),
            self.submission_id(F.col("parent")).alias("applicant_submission_id"),
            F.when(F.col("calculated"), self.calculation_id(F.col("key") * 2 + 1)).alias("calculation_id"),
            F.col("eligibility").alias("review_eligibility"),
            F.when(F.col("eligibility") == "REJECTED", rejected)
            .when(d.chance("no reasons", 0.5), F.array().cast("array<string>"))
            .alias("rejected_reasons"),
            F.when(F.col("n") == 0, F.lit("INITIAL")).otherwise(F.lit("ESCALATION")).alias("type"),
            timestamp(F.col("found")).alias("inserted_at"),
        )

    def income_results(self) -> DataFrame:
        return self._verification_results("income_verification_results", _INCOME_RESULTS)

    def asset_results(self) -> DataFrame:
        # Assets are not calculated: no row of calculations belongs to them.
        return self._verification_results("asset_verification_results", (70, 24, 5, 1)).withColumn(
            "calculation_id", F.lit(None).cast("string")
        )

    def calculation_id(self, key: Column) -> Column:
        """Even row numbers belong to reviews, odd ones to results."""
        return self.draw("calculations", key).uuid()

    def calculations(self) -> DataFrame:
        reviewed = self._reviews.where("calculated").select(
            (F.col("key") * 2).alias("key"), F.col("assigned").alias("at")
        )
        found = self._results("income_verification_results", _INCOME_RESULTS).where("calculated")
        frame = reviewed.unionAll(found.select((F.col("key") * 2 + 1).alias("key"), F.col("found").alias("at")))
        d = self.draw("calculations", F.col("key"))
        frame = frame.withColumn(
            "status", d.choose("status", {"success": 900, "error": 60, "pending": 37, "timeout": 3})
        )
        confidence = F.when(d.chance("certain", 0.02), F.lit(1.0)).otherwise(F.pow(d.unit("confidence"), F.lit(0.4)))
        return frame.select(
            self.calculation_id(F.col("key")).alias("id"),
            F.col("status").alias("status_code"),
            F.when(F.col("status") == "success", d.decimal("income", 900, 16_000, 2.2)).alias("monthly_income"),
            F.when(F.col("status") == "success", confidence)
            .when(d.chance("nan", 0.2), F.lit(float("nan")))
            .alias("confidence"),
            timestamp(F.col("at")).alias("created_at"),
        )

    @cached_property
    def _accounts(self) -> DataFrame:
        d = self.draw("argyle_accounts", F.col("key"))
        return self._sources.where((F.col("source") == "CONNECTED_PAYROLL") & d.chance("connected", 0.92))

    def accounts(self) -> DataFrame:
        d = self.draw("argyle_accounts", F.col("key"))
        connected = d.after("connected_at", F.col("handed"), SECOND, 20 * MINUTE, self.end)
        return self._accounts.select(
            d.uuid().alias("id"),
            self.submission_id(F.col("parent")).alias("applicant_submission_id"),
            d.choose("status", {"connected": 88, "disconnected": 7, "error": 5}).alias("status"),
            timestamp(F.when(d.chance("at", 0.97), connected)).alias("connected_at"),
        )

    def employments(self) -> DataFrame:
        parent = self.draw("argyle_accounts", F.col("key"))
        frame = self._children(
            self._accounts.drop("parent", "n"), 4, parent.step("count of employments", (4, 62, 26, 8))
        )
        d = self.draw("argyle_employments", F.col("key"))
        hired = F.col("handed") - d.span("hired_at", 30 * DAY, 4_000 * DAY, 2.0)
        return frame.select(
            d.uuid().alias("id"),
            self.draw("argyle_accounts", F.col("parent")).uuid().alias("account_id"),
            d.pick("employer", words.EMPLOYERS).alias("employer"),
            F.when(d.chance("pay", 0.96), d.decimal("base_pay", 300, 7_500, 1.8)).alias("base_pay"),
            d.choose("pay_cycle", {"biweekly": 55, "weekly": 20, "semimonthly": 15, "monthly": 8, None: 2}).alias(
                "pay_cycle"
            ),
            timestamp(hired).alias("hired_at"),
            timestamp(F.when(d.chance("terminated", 0.2), hired + d.span("terminated_at", DAY, 29 * DAY))).alias(
                "terminated_at"
            ),
        )

    def document_rulings(self) -> DataFrame:
        parent = self.draw("proof", F.col("key"))
        statements = self._proof.where(F.col("type").isin("bank_statement", "cash_app_statement"))
        frame = self._children(statements.drop("parent", "n"), 4, parent.step("count of rulings", (45, 40, 12, 3)))
        d = self.draw("document_rulings", F.col("key"))
        return frame.select(
            d.uuid().alias("id"),
            self.proof_id(F.col("parent")).alias("document_id"),
            d.choose("ruling", {"ACCEPTED": 80, "REJECTED": 12, "INSUFFICIENT": 7, None: 1}).alias("ruling_code"),
            d.choose("model", {"av-2.1": 3, "av-2.2": 5, "av-3.0-rc1": 2}).alias("model_version"),
            F.when(d.chance("scored", 0.97), d.unit("score")).alias("score"),
            timestamp(d.after("created_at", F.col("given"), SECOND, HOUR, self.end)).alias("created_at"),
        )

    def fraud_results(self) -> DataFrame:
        parent = self.draw("applicant_submissions", F.col("key"))
        frame = self._children(
            self._submissions.where(F.col("reported").isNotNull()).drop("parent", "n"),
            4,
            parent.step("count of fraud results", (3, 92, 5)),
        )
        d = self.draw("fraud_results", F.col("key"))
        edited = F.col("result") == "EDITED"
        # 9 is the id of no type.
        code = F.when(edited, 2 + d.step("edited", (25, 75))).otherwise(
            F.element_at(ints((1, 4, 2, 9)), d.step("code", (930, 60, 8, 2)) + 1)
        )
        return frame.select(
            F.col("key").alias("id"),
            self.submission_id(F.col("parent")).alias("applicant_submission_id"),
            code.alias("result"),
            timestamp(d.after("inserted_at", F.col("handed"), MINUTE, HOUR, self.end)).alias("inserted_at"),
        )

    def fraud_result_types(self) -> DataFrame:
        return self.spark.createDataFrame(list(FRAUD_RESULT_TYPES), "id int, code string")
