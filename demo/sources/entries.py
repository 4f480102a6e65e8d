"""Generated folders and their entries: when each was created, submitted and reported, and its result."""

from __future__ import annotations

from functools import cached_property

from pyspark.sql import Column, DataFrame
from pyspark.sql.connect import functions as F

from demo.sources import vocabulary as words
from demo.sources.generation import DAYS, GENERATION, Generation, ints
from demo.sources.properties import Properties
from demo.sources.values import DAY, HOUR, MINUTE, Draw, strings, timestamp

RETURNING = GENERATION // 2
"""Where, after a generation's first, the row numbers of its entries into old folders begin."""

# 25 entries lie in 20 folders: one is empty, one holds 4, three hold 2, the others 1 each.
ENTRIES_OF_FOLDER = (1, 1, 2, 1, 1, 1, 0, 1, 1, 2, 1, 1, 1, 4, 1, 1, 1, 2, 1, 1)
FOLDER_OF_ENTRY = tuple(f for f, n in enumerate(ENTRIES_OF_FOLDER) for _ in range(n))
PLACE_OF_ENTRY = tuple(i for n in ENTRIES_OF_FOLDER for i in range(n))
FIRST_ENTRY = tuple(sum(ENTRIES_OF_FOLDER[:f]) for f in range(20))

# Hours of the day (UTC) at which people in the United States hand things in, once per weight.
HOURS = tuple(
    h
    for h, weight in enumerate((6, 5, 4, 2, 1, 1, 1, 1, 1, 1, 1, 2, 3, 6, 9, 11, 12, 12, 11, 11, 10, 9, 8, 7))
    for _ in range(weight)
)

RULINGS: dict[str | None, float] = {"CLEAN": 82, "EDITED": 10, "UNDETERMINED": 8}


def folder_count(entries: int) -> int:
    """Folders that hold this many entries."""
    return -(-entries // 25) * 20


class Entries(Properties):
    """The frames of folders and entries."""

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
        first = block + F.element_at(ints(FIRST_ENTRY), slot + 1)
        held = F.element_at(ints(ENTRIES_OF_FOLDER), slot + 1)
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
            F.concat(self.last_name(key), F.lit(" household")).alias("name"),
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
        place = F.element_at(ints(PLACE_OF_ENTRY), slot).cast("bigint")
        folder = F.floor((key - self.first) / 25) * 20 + self.first + F.element_at(ints(FOLDER_OF_ENTRY), slot)
        frame = self._range(self.entries, self.first).select("key", place.alias("place"), folder.alias("folder"))
        frame = frame.withColumn("opened", self.folder_moment(F.col("folder")))
        opened, limit = F.col("opened"), self.end - MINUTE
        at = d.after("inserted_at", opened, MINUTE, 90 * MINUTE, limit, 2.0)
        again = d.after("inserted_at.again", opened, HOUR, 9 * DAY, limit, wait=F.col("place") * 2 * DAY)
        return frame.select("key", "folder", F.when(F.col("place") == 0, at).otherwise(again).alias("at"))

    def _returned(self, origin: Generation) -> DataFrame:
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
                F.col("result").isNotNull() & d.chance("suggested", 0.8), d.choose("suggested_ruling", RULINGS)
            ).alias("suggested_ruling"),
            F.when(
                d.chance("notify", 0.55),
                F.concat(F.lit("agent"), d.below("agent", 400).cast("string"), F.lit("@example.com")),
            ).alias("notification_email"),
            timestamp(reported).alias("report_complete_time"),
            F.when(reported.isNotNull() & d.chance("manual", 0.45), reviewer(d)).alias("reviewer_id"),
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

    def last_name(self, folder: Column) -> Column:
        """The name that most of a folder's household share."""
        return self.draw("folders", folder).pick("name", words.LAST_NAMES)


def reviewer(d: Draw) -> Column:
    """One of 40 reviewers' ids."""
    return Draw(d.seed, "reviewers", d.below("reviewer", 40)).uuid()
