"""The rows of every source table, as Spark expressions over row numbers.

A child's row number is its parent's times a fixed factor plus its place among its siblings, so that a child knows its
parent's id without a join, and every table can be made alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.connect import functions as F

from emulator.sources import vocabulary as words
from emulator.sources.schemas import (
    AV,
    AX,
    ELIGIBILITIES,
    FEATURE_CODES,
    FRAUD_RESULT_TYPES,
    HELPERS,
    IV,
    PUBLIC,
    SANDBOX,
    SOURCE_TYPES,
    TABLES,
)
from emulator.sources.values import DAY, HOUR, MINUTE, SECOND, Draw, strings, timestamp

GENERATION = 1_000_000_000
"""Row numbers of tick n begin at n times this; those of the first generation at 0."""

RETURNING = GENERATION // 2
"""Where, after a generation's first, the row numbers of its entries into old folders begin."""

DAYS = 730
"""Days that the data reaches back from `as_of`."""

# 25 entries lie in 20 folders: one is empty, one holds 4, three hold 2, the others 1 each.
ENTRIES_OF_FOLDER = (1, 1, 2, 1, 1, 1, 0, 1, 1, 2, 1, 1, 1, 4, 1, 1, 1, 2, 1, 1)
FOLDER_OF_ENTRY = tuple(f for f, n in enumerate(ENTRIES_OF_FOLDER) for _ in range(n))
PLACE_OF_ENTRY = tuple(i for n in ENTRIES_OF_FOLDER for i in range(n))
FIRST_ENTRY = tuple(sum(ENTRIES_OF_FOLDER[:f]) for f in range(20))

ROWS_PER_PARTITION = 100_000

# Hours of the day (UTC) at which people in the United States hand things in, once per weight.
HOURS = tuple(
    h
    for h, weight in enumerate((6, 5, 4, 2, 1, 1, 1, 1, 1, 1, 1, 2, 3, 6, 9, 11, 12, 12, 11, 11, 10, 9, 8, 7))
    for _ in range(weight)
)


def folder_count(entries: int) -> int:
    """Folders that hold this many entries."""
    return -(-entries // 25) * 20


@dataclass(frozen=True)
class Rows:
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
    origin: Rows | None = None
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
    def properties_count(self) -> int:
        return max(60, self.base_entries // 100)

    @property
    def companies_count(self) -> int:
        return max(24, self.properties_count // 6)

    @property
    def first(self) -> int:
        return self.number * GENERATION

    def draw(self, table: str, key: Column) -> Draw:
        return Draw(self.seed, table, key)

    def _range(self, count: int, start: int = 0) -> DataFrame:
        parts = max(1, -(-count // ROWS_PER_PARTITION))
        return self.spark.range(start, start + count, 1, parts).withColumnRenamed("id", "key")

    def frame(self, table: str) -> DataFrame:
        """The rows of a table by its three-level name, in the columns and types of its schema.

        Raises KeyError for a name that is no source table.
        """
        schema = TABLES[table]
        frame = _MAKERS[table](self)
        return frame.select(
            *(
                F.col(c.name).cast(c.type).alias(c.name, metadata={"comment": c.comment} if c.comment else {})
                for c in schema.columns
            )
        )

    # -- companies and properties ------------------------------------------------------------------------------------

    def company_id(self, key: Column) -> Column:
        fixed = {k: s[0] for k, s in enumerate(words.SPECIAL_COMPANIES) if s[0]}
        return _fixed(key, fixed, self.draw("companies", key).uuid())

    def company_short_id(self, key: Column) -> Column:
        fixed = {k: s[2] for k, s in enumerate(words.SPECIAL_COMPANIES) if s[2]}
        return _fixed(key, fixed, self.draw("companies", key).short("short_id", 7))

    def company_name(self, key: Column) -> Column:
        d = self.draw("companies", key)
        drawn = F.concat_ws(" ", d.pick("name.1", words.ADJECTIVES), d.pick("name.2", words.FIRM_WORDS))
        return _fixed(key, {k: s[1] for k, s in enumerate(words.SPECIAL_COMPANIES)}, drawn)

    def companies(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("companies", key)
        inserted = F.lit(self.end - (DAYS + 30) * DAY) - d.span("inserted_at", 0, 1_200 * DAY)
        return self._range(self.companies_count).select(
            self.company_id(key).alias("id"),
            self.company_name(key).alias("name"),
            _address(d),
            _zip(d),
            d.pick("city", words.CITIES).alias("city"),
            d.pick("state", words.STATES).alias("state"),
            F.when(
                d.chance("logo", 0.7),
                F.concat(F.lit("https://assets.example.com/generated/"), self.company_short_id(key), F.lit(".png")),
            ).alias("logo"),
            self.company_short_id(key).alias("short_id"),
            timestamp(inserted).alias("inserted_at"),
            timestamp(d.after("updated_at", inserted, DAY, 900 * DAY, self.end)).alias("updated_at"),
        )

    def property_company(self, key: Column) -> Column:
        """Row number of the company of a property: few have many properties, many have few."""
        named, companies = len(words.SPECIAL_PROPERTY_NAMES), len(words.SPECIAL_COMPANIES)
        u = F.pow(self.draw("properties", key).unit("company"), F.lit(1.7))
        ordinary = self.companies_count - companies
        drawn = F.lit(self.companies_count - 1) - F.floor(u * ordinary)
        return (
            F.when((key >= named) & (key < named + companies), key - named)
            .when(key % 97 == 96, key % companies)
            .otherwise(drawn)
        )

    def property_id(self, key: Column) -> Column:
        return self.draw("properties", key).uuid()

    def property_short_id(self, key: Column) -> Column:
        return self.draw("properties", key).short("short_id", 8)

    def property_name(self, key: Column) -> Column:
        d = self.draw("properties", key)
        name = F.concat_ws(
            " ", d.pick("name.1", words.ADJECTIVES), d.pick("name.2", words.ADJECTIVES), d.pick("name.3", words.PLACES)
        )
        u = d.unit("name.kind")
        drawn = (
            F.when(u < 0.03, F.concat_ws(" ", d.pick("name.word", words.EXCLUDED_WORDS), name))
            .when(u < 0.035, F.concat(name, F.lit(" ")))
            .when(u < 0.038, F.lit(None).cast("string"))
            .otherwise(name)
        )
        return _fixed(key, dict(enumerate(words.SPECIAL_PROPERTY_NAMES)), drawn)

    def properties(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("properties", key)
        company = self.property_company(key)
        inserted = F.lit(self.end - DAYS * DAY) - d.span("inserted_at", 0, 1_200 * DAY)
        doctypes = d.step("doctypes", (6, 2, 1, 1))
        return self._range(self.properties_count).select(
            self.property_id(key).alias("id"),
            self.company_id(company).alias("company_id"),
            self.property_name(key).alias("name"),
            F.when(
                d.chance("entity", 0.8),
                F.concat(self.property_name(key), d.pick("entity.2", (" LLC", " LP", ", Inc."))),
            ).alias("entity_name"),
            F.when(d.chance("unit.some", 0.95), d.below("unit", 480) + 12).alias("unit"),
            d.pick("city", words.CITIES).alias("city"),
            _address(d),
            F.when(d.chance("state.bad", 0.01), d.pick("state.invalid", words.INVALID_STATES))
            .when(d.chance("state.some", 0.96), d.pick("state", words.STATES))
            .alias("state"),
            _zip(d),
            d.choose("status", {"active": 90, "inactive": 7, "onboarding": 2, None: 1}).alias("status"),
            timestamp(inserted).alias("inserted_at"),
            timestamp(d.after("updated_at", inserted, DAY, 1_100 * DAY, self.end)).alias("updated_at"),
            self.company_short_id(company).alias("company_short_id"),
            F.when(d.chance("bank_statement", 0.4), d.below("bank_statement.n", 4)).alias("bank_statement"),
            F.when(d.chance("paystub", 0.4), d.below("paystub.n", 5)).alias("paystub"),
            d.flag("unit_is_required", 0.5).alias("unit_is_required"),
            d.flag("phone_is_required", 0.3, 0.05).alias("phone_is_required"),
            self.property_short_id(key).alias("short_id"),
            F.concat(F.lit("leasing+"), F.lower(self.property_short_id(key)), F.lit("@example.com")).alias("email"),
            d.flag("identity_verification_enabled", 0.25, 0.1).alias("identity_verification_enabled"),
            F.when(d.chance("pmc_name", 0.6), self.company_name(company)).alias("pmc_name"),
            F.element_at(
                strings(
                    (
                        '{"paystub": 2, "bank_statement": 2}',
                        '{"paystub":{"min":2,"max":6},"w2":{"min":1},"any_of":["tax_return","offer_letter"]}',
                        "[]",
                        None,
                    )
                ),
                doctypes + 1,
            ).alias("supported_doctypes"),
            F.when(d.chance("sfdc_id", 0.85), F.concat(F.lit("001GEN"), d.short("sfdc", 9))).alias("sfdc_id"),
        )

    def epa_sipp(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("unity_epa_sipp_properties", key)
        return (
            self._range(self.properties_count)
            .where(d.chance("present", 0.92))
            .select(
                self.property_id(key).alias("property_id"),
                d.flag("epa", 0.2, 0.02).alias("is_epa_property"),
                d.flag("sipp", 0.3, 0.02).alias("is_yardi_sipp_property"),
            )
        )

    def property_features(self) -> DataFrame:
        parent = self.draw("properties", F.col("key"))
        frame = self._range(self.properties_count).select(
            "key",
            parent.below("features.shift", 6).alias("shift"),
            F.explode(F.sequence(F.lit(0), parent.below("features", 6).cast("int") + 2)).alias("n"),
        )
        frame = frame.withColumn("row", F.col("key") * 8 + F.col("n"))
        d = self.draw("property_features", F.col("row"))
        code = F.when(F.col("n") < 2, F.col("n")).otherwise(2 + (F.col("n") - 2 + F.col("shift")) % 6).cast("int")
        inserted = F.lit(self.end) - d.span("inserted_at", 5 * DAY, 700 * DAY)
        return frame.select(
            d.uuid().alias("id"),
            self.property_id(F.col("key")).alias("property_id"),
            F.element_at(strings(FEATURE_CODES), code + 1).alias("feature_code"),
            d.choose("state", {"enabled": 8, "disabled": 2}).alias("state"),
            timestamp(inserted).alias("inserted_at"),
            timestamp(d.after("updated_at", inserted, 0, 300 * DAY, self.end, 3.0)).alias("updated_at"),
        )

    def agg_property_features(self) -> DataFrame:
        features = self.frame(f"{PUBLIC}.property_features")

        def of(code: str, name: str) -> list[Column]:
            enabled = (F.col("feature_code") == code) & (F.col("state") == "enabled")
            return [
                F.bool_or(enabled).alias(f"{name}_enabled"),
                F.min(F.when(enabled, F.col("inserted_at"))).alias(f"{name}_enabled_at"),
                F.max(F.when(F.col("feature_code") == code, F.col("updated_at"))).alias(f"{name}_updated_at"),
            ]

        return features.groupBy("property_id").agg(
            *of("income_verification", "iv"), *of("payroll_linking", "payroll_linking")
        )

    # -- folders and entries -----------------------------------------------------------------------------------------

    def _moment(self, d: Draw, place: Column) -> Column:
        """A folder's time: `place` (0 to 1) among the folders, more of them later, few at weekends and at night."""
        if self.number:
            return F.lit(self.start) + (place * (self.end - self.start)).cast("bigint")
        day = F.floor(F.pow(place, F.lit(0.8)) * DAYS).cast("bigint") + self.start // DAY
        # 1970-01-01 was a Thursday: days 2 and 3 of its weeks are Saturday and Sunday.
        weekend = ((day % 7) == 2) | ((day % 7) == 3)
        day = F.when(weekend & d.chance("weekend", 0.65), day - 2 - d.below("weekday", 2)).otherwise(day)
        hour = F.element_at(F.array(*(F.lit(h) for h in HOURS)), (d.below("hour", len(HOURS)) + 1).cast("int"))
        at = day * DAY + hour * HOUR + d.span("minute", 0, HOUR)
        return F.when(at > self.end - 2 * HOUR, at - 7 * DAY).otherwise(at)

    def folder_moment(self, key: Column) -> Column:
        d = self.draw("folders", key)
        count = folder_count(self.entries)
        return self._moment(d, (key - self.first + d.unit("inserted_at")) / F.lit(float(count)))

    def folder_id(self, key: Column) -> Column:
        return self.draw("folders", key).uuid()

    def folder_property(self, key: Column) -> Column:
        """Row number of a folder's property: some are large, and one in 23 has no folder."""
        u = F.pow(self.draw("folders", key).unit("property"), F.lit(1.5))
        drawn = F.lit(self.properties_count - 1) - F.floor(u * self.properties_count)
        return F.when(drawn % 23 == 22, drawn - 1).otherwise(drawn)

    def folders(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("folders", key)
        slot = ((key - self.first) % 20).cast("int")
        block = F.floor((key - self.first) / 20) * 25 + self.first
        first = block + F.element_at(_ints(FIRST_ENTRY), slot + 1)
        held = F.element_at(_ints(ENTRIES_OF_FOLDER), slot + 1)
        last = F.least(first + held - 1, F.lit(self.first + self.entries - 1))
        # The last entries of the last block may not exist.
        filled = (held > 0) & (first < self.first + self.entries)
        frame = (
            self._range(folder_count(self.entries), self.first)
            .withColumn("property", self.folder_property(key))
            .withColumn("at", self.folder_moment(key))
            .withColumn("updated", d.after("updated_at", F.col("at"), HOUR, 20 * DAY, self.end, 2.0))
            .withColumn("result", d.choose("result", {"PASSED": 71, "FAILED": 12, "UNDETERMINED": 9, None: 8}))
        )
        company = self.property_company(F.col("property"))
        return frame.select(
            self.folder_id(key).alias("id"),
            self.property_id(F.col("property")).alias("property_id"),
            self.company_id(company).alias("company_id"),
            F.concat(_last_name(self, key), F.lit(" household")).alias("name"),
            d.choose("status", {"active": 70, "archived": 24, "withdrawn": 5, None: 1}).alias("status"),
            "result",
            timestamp(F.col("at")).alias("inserted_at"),
            timestamp(F.col("updated")).alias("updated_at"),
            self.property_short_id(F.col("property")).alias("property_short_id"),
            self.property_name(F.col("property")).alias("property_name"),
            self.company_short_id(company).alias("company_short_id"),
            d.choose("dynamic_ruling", {"CLEAN": 55, "REVIEW": 20, "FRAUD": 6, None: 19}).alias("dynamic_ruling"),
            F.when(F.col("result").isNotNull(), timestamp(F.col("updated"))).alias("ruling_time"),
            F.when(filled, self.entry_id(last)).alias("last_entry_id"),
        )

    def entry_id(self, key: Column) -> Column:
        return self.draw("entries", key).uuid()

    @cached_property
    def _entries(self) -> DataFrame:
        """What an entry's children need to know of it: key, folder (row number), times, status, result."""
        d = self.draw("entries", F.col("key"))
        frame = self._filed()
        if self.origin is not None:
            frame = frame.unionAll(self._returned(self.origin))
        frame = frame.withColumn("fresh", F.col("at") > F.lit(self.end - 2 * DAY))
        statuses = ("completed", "reviewing", "pending", "cancelled", "failed", "unknown", "COMPLETED", None)
        old = d.step("status", (880, 10, 17, 60, 27, 2, 1, 3))
        fresh = d.step("status", (420, 250, 300, 20, 7, 1, 0.5, 1.5))
        frame = frame.withColumn(
            "status", F.element_at(strings(statuses), F.when(F.col("fresh"), fresh).otherwise(old) + 1)
        )
        unsent = d.unit("unsent") < F.when(F.col("status") == "pending", 0.5).otherwise(0.006)
        sent = d.after("submission_time", F.col("at"), 2 * MINUTE, 3 * DAY, self.end, 4.0)
        frame = frame.withColumn("sent", F.when(~unsent, sent))
        done = F.col("status").isin("completed", "COMPLETED") & F.col("sent").isNotNull()
        frame = frame.withColumn(
            "reported", F.when(done, d.after("reported", F.col("sent"), 4 * MINUTE, 22 * HOUR, self.end, 2.0))
        ).withColumn(
            "result", F.when(done, d.choose("result", {"CLEAN": 790, "EDITED": 110, "UNDETERMINED": 90, None: 10}))
        )
        return self._keep(frame.drop("fresh"))

    def _filed(self) -> DataFrame:
        """The entries of this generation's own folders: key, folder, at."""
        key = F.col("key")
        d = self.draw("entries", key)
        slot = ((key - self.first) % 25).cast("int") + 1
        place = F.element_at(_ints(PLACE_OF_ENTRY), slot).cast("bigint")
        folder = F.floor((key - self.first) / 25) * 20 + self.first + F.element_at(_ints(FOLDER_OF_ENTRY), slot)
        frame = self._range(self.entries, self.first).select("key", place.alias("place"), folder.alias("folder"))
        frame = frame.withColumn("opened", self.folder_moment(F.col("folder")))
        opened, limit = F.col("opened"), self.end - MINUTE
        at = d.after("inserted_at", opened, MINUTE, 90 * MINUTE, limit, 2.0)
        again = d.after("inserted_at.again", opened, HOUR, 9 * DAY, limit, wait=F.col("place") * 2 * DAY)
        return frame.select("key", "folder", F.when(F.col("place") == 0, at).otherwise(again).alias("at"))

    def _returned(self, origin: Rows) -> DataFrame:
        """The entries of old folders, newer ones rather than old: key, folder, at."""
        d = self.draw("entries", F.col("key"))
        count = folder_count(origin.entries)
        folder = F.lit(count - 1) - F.floor(F.pow(d.unit("folder"), F.lit(3.0)) * count)
        at = F.lit(self.end - MINUTE) - d.span("inserted_at", 0, self.end - self.start - MINUTE)
        return self._range(self.returning, self.first + RETURNING).select(
            "key", folder.cast("bigint").alias("folder"), at.alias("at")
        )

    def last_entries(self) -> DataFrame:
        """Of each old folder that an entry was added to, its id and that of the newest such entry."""
        added = self._entries.where(F.col("key") >= self.first + RETURNING)
        return (
            added.groupBy("folder")
            .agg(F.max_by("key", "at").alias("key"))
            .select(self.folder_id(F.col("folder")).alias("id"), self.entry_id(F.col("key")).alias("last_entry_id"))
        )

    def entries_frame(self) -> DataFrame:
        key = F.col("key")
        d = self.draw("entries", key)
        sent, reported = F.col("sent"), F.col("reported")
        slow = F.coalesce(reported, F.lit(self.end)) - sent
        metadata = F.concat(
            F.lit('{"generated":true,"source":"'),
            d.choose("source", {"web": 6, "mobile": 3, "api": 1}),
            F.lit('","browser":{"name":"'),
            d.pick("browser", ("Firefox", "Chrome", "Safari", "Edge")),
            F.lit('","version":'),
            (d.below("version", 40) + 100).cast("string"),
            F.lit('},"tags":'),
            d.pick("tags", ("[]", '["renewal"]', '["résidence","co-signer"]', "null")),
            F.lit("}"),
        )
        return self._entries.select(
            self.entry_id(key).alias("id"),
            self.folder_id(F.col("folder")).alias("folder_id"),
            "status",
            d.flag("previously", 0.18, 0.03).alias("has_previously_submitted"),
            "result",
            timestamp(F.col("at")).alias("inserted_at"),
            timestamp(F.coalesce(reported, sent, F.col("at"))).alias("updated_at"),
            d.short("short_id").alias("short_id"),
            timestamp(sent).alias("submission_time"),
            F.when(
                F.col("result").isNotNull() & d.chance("suggested", 0.8), d.choose("suggested_ruling", _RULINGS)
            ).alias("suggested_ruling"),
            F.when(
                d.chance("notify", 0.55),
                F.concat(F.lit("agent"), d.below("agent", 400).cast("string"), F.lit("@example.com")),
            ).alias("notification_email"),
            timestamp(reported).alias("report_complete_time"),
            F.when(reported.isNotNull() & d.chance("manual", 0.45), _reviewer(d)).alias("reviewer_id"),
            timestamp(F.when(slow > 22 * HOUR, sent + 22 * HOUR)).alias("twenty_two_hours_notification_sent_at"),
            timestamp(F.when(slow > 16 * HOUR, sent + 16 * HOUR)).alias("sixteen_hours_notification_sent_at"),
            F.when(reported.isNotNull(), d.choose("review_status", {"REVIEWED": 8, "SECOND_REVIEW": 1, None: 1})).alias(
                "review_status"
            ),
            timestamp(reported - d.span("review", 0, 4 * MINUTE)).alias("review_date"),
            F.when(
                d.chance("unit", 0.8),
                F.concat(
                    (d.below("unit.floor", 30) + 1).cast("string"), d.pick("unit.door", ("A", "B", "C", "-04", ""))
                ),
            ).alias("unit"),
            F.when(d.chance("metadata", 0.85), metadata).alias("metadata"),
            F.when(d.chance("note", 0.12), d.pick("note.text", words.NOTES)).alias("note"),
            d.flag("automatic", 0.55, 0.04).alias("is_automatic_review"),
        )

    # -- below an entry ----------------------------------------------------------------------------------------------

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
            _last_name(self, F.col("folder"))
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
            F.when(d.chance("suggested", 0.7), d.choose("suggested_ruling", _RULINGS)).alias("suggested_ruling"),
            F.when(d.chance("test", 0.2), d.choose("test_suggested_ruling", _RULINGS)).alias("test_suggested_ruling"),
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

    # -- income and asset verification -------------------------------------------------------------------------------

    def _verifications(self, table: str, share: float) -> DataFrame:
        """The document sources that a verification was asked for; `key` is the source's own."""
        d = self.draw(table, F.col("key"))
        return (
            self._sources.where(F.col("sent").isNotNull() & d.chance("asked", share))
            .withColumn("asked", d.after("inserted_at", F.col("handed"), SECOND, 30 * MINUTE, self.end))
            .withColumn("eligibility", d.choose("eligibility", _ELIGIBILITY))
        )

    def _verification_submissions(self, table: str, share: float) -> DataFrame:
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
            F.when(d.chance("manual", 0.4), _reviewer(d)).alias("reviewer_id"),
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
            F.element_at(_ints((1, 4, 2, 9)), d.step("code", (930, 60, 8, 2)) + 1)
        )
        return frame.select(
            F.col("key").alias("id"),
            self.submission_id(F.col("parent")).alias("applicant_submission_id"),
            code.alias("result"),
            timestamp(d.after("inserted_at", F.col("handed"), MINUTE, HOUR, self.end)).alias("inserted_at"),
        )

    def fraud_result_types(self) -> DataFrame:
        return self.spark.createDataFrame(list(FRAUD_RESULT_TYPES), "id int, code string")


_RULINGS: dict[str | None, float] = {"CLEAN": 82, "EDITED": 10, "UNDETERMINED": 8}
_ELIGIBILITY: dict[str | None, float] = {**dict(zip(ELIGIBILITIES, (78, 9, 12), strict=True)), None: 1}
_SOURCES: dict[str | None, float] = dict(zip(SOURCE_TYPES, (62, 13, 25), strict=True))
_INCOME_RESULTS = (25, 50, 20, 5)

_MAKERS = {
    f"{PUBLIC}.companies": Rows.companies,
    f"{PUBLIC}.properties": Rows.properties,
    f"{SANDBOX}.unity_epa_sipp_properties": Rows.epa_sipp,
    f"{PUBLIC}.property_features": Rows.property_features,
    f"{HELPERS}.unity_agg_property_features": Rows.agg_property_features,
    f"{PUBLIC}.folders": Rows.folders,
    f"{PUBLIC}.entries": Rows.entries_frame,
    f"{PUBLIC}.applicants": Rows.applicants,
    f"{PUBLIC}.proof": Rows.proof,
    f"{PUBLIC}.applicant_submissions": Rows.applicant_submissions,
    f"{PUBLIC}.applicant_submission_document_sources": Rows.document_sources,
    f"{PUBLIC}.income_verification_submissions": lambda r: r._verification_submissions(
        "income_verification_submissions", 0.4
    ),
    f"{PUBLIC}.income_verification_reviews": Rows.reviews,
    f"{PUBLIC}.income_verification_results": Rows.income_results,
    f"{IV}.calculations": Rows.calculations,
    f"{AX}.argyle_accounts": Rows.accounts,
    f"{AX}.argyle_employments": Rows.employments,
    f"{PUBLIC}.asset_verification_submissions": lambda r: r._verification_submissions(
        "asset_verification_submissions", 0.25
    ),
    f"{PUBLIC}.asset_verification_results": Rows.asset_results,
    f"{AV}.document_rulings": Rows.document_rulings,
    f"{PUBLIC}.fraud_results": Rows.fraud_results,
    f"{PUBLIC}.fraud_result_types": Rows.fraud_result_types,
}


def _fixed(key: Column, values: dict[int, str], otherwise: Column) -> Column:
    """The value that a row number has been given by hand, else the drawn one."""
    (k, v), *others = values.items()
    chosen = F.when(key == k, F.lit(v))
    for k, v in others:
        chosen = chosen.when(key == k, F.lit(v))
    return chosen.otherwise(otherwise)


def _ints(values: Sequence[int]) -> Column:
    return F.array(*(F.lit(v) for v in values))


def _address(d: Draw) -> Column:
    number = (d.below("address.number", 9_800) + 100).cast("string")
    return F.concat_ws(
        " ", number, d.pick("address.street", words.STREETS), d.pick("address.kind", ("St", "Ave", "Blvd", "Way"))
    ).alias("address")


def _zip(d: Draw) -> Column:
    return F.lpad(d.below("zip", 100_000).cast("string"), 5, "0").alias("zip")


def _last_name(rows: Rows, folder: Column) -> Column:
    return rows.draw("folders", folder).pick("name", words.LAST_NAMES)


def _reviewer(d: Draw) -> Column:
    """One of 40 reviewers' ids."""
    return Draw(d.seed, "reviewers", d.below("reviewer", 40)).uuid()
