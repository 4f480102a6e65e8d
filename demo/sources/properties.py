"""Generated companies, their properties, and what is known of each property."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql.connect import functions as F

from demo.sources import vocabulary as words
from demo.sources.generation import DAYS, Generation, given
from demo.sources.schemas import FEATURE_CODES
from demo.sources.values import DAY, Draw, strings, timestamp


class Properties(Generation):
    """The frames of companies and properties."""

    @property
    def properties_count(self) -> int:
        return max(60, self.base_entries // 100)

    @property
    def companies_count(self) -> int:
        return max(24, self.properties_count // 6)

    def company_id(self, key: Column) -> Column:
        fixed = {k: s[0] for k, s in enumerate(words.SPECIAL_COMPANIES) if s[0]}
        return given(key, fixed, self.draw("companies", key).uuid())

    def company_short_id(self, key: Column) -> Column:
        fixed = {k: s[2] for k, s in enumerate(words.SPECIAL_COMPANIES) if s[2]}
        return given(key, fixed, self.draw("companies", key).short("short_id", 7))

    def company_name(self, key: Column) -> Column:
        d = self.draw("companies", key)
        drawn = F.concat_ws(" ", d.pick("name.1", words.ADJECTIVES), d.pick("name.2", words.FIRM_WORDS))
        return given(key, {k: s[1] for k, s in enumerate(words.SPECIAL_COMPANIES)}, drawn)

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
        return given(key, dict(enumerate(words.SPECIAL_PROPERTY_NAMES)), drawn)

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
        features = self.property_features()

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


def _address(d: Draw) -> Column:
    number = (d.below("address.number", 9_800) + 100).cast("string")
    return F.concat_ws(
        " ", number, d.pick("address.street", words.STREETS), d.pick("address.kind", ("St", "Ave", "Blvd", "Way"))
    ).alias("address")


def _zip(d: Draw) -> Column:
    return F.lpad(d.below("zip", 100_000).cast("string"), 5, "0").alias("zip")
