"""The comparison, top to bottom: schema, state, fingerprint, details, state again, verdict."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from databricks_client.names import same_name
from validation.causes import causes_of
from validation.drilldown import Details, chosen_buckets, details_sql, duplicates_of, read_details, tolerance_applies
from validation.errors import Cancelled, SideUnreadable, SpecError, StatementError
from validation.fingerprint import (
    MISSED_DIFFERENCE,
    Scan,
    duplicates_sql,
    fine_buckets,
    fingerprint_sql,
    read_duplicates,
    read_scan,
)
from validation.plan import Compared, Plan, Side, make_plan
from validation.report import (
    Estimate,
    Fingerprint,
    ParityReport,
    Progress,
    Recheck,
    RecheckState,
    SchemaDifference,
    SideState,
    Timing,
    TypeRule,
    Verdict,
)
from validation.schema import Alignment, TableSchema, align, read_schema
from validation.spec import ComparisonSpec, SchemaAspect
from validation.sqltext import quote_table
from validation.state import UpdateOf, delta_version, identifies_data, pin, planned_bytes, read_state
from validation.verdict import judge, schema_reason
from validation.warehouse import Parameters, Row, Warehouse, never

_TIME_TRAVEL = re.compile(r"time.?travel|version", re.IGNORECASE)
_RULE_MAY_BE_WRONG = {"0A", "22", "42"}
"""Classes of SQLSTATE: a feature that is not supported, a value that an expression cannot take, a name or syntax."""

_STEPS = ("schema", "state", "fingerprint", "duplicates", "details", "final", "verify", "done")


def quiet(progress: Progress) -> None:
    """The progress callback of a caller who does not watch."""


def compare(
    warehouse: Warehouse,
    spec: ComparisonSpec,
    *,
    progress: Callable[[Progress], None] = quiet,
    cancelled: Callable[[], bool] = never,
    requested_by: str = "",
    update_of: UpdateOf | None = None,
) -> ParityReport:
    """Compare the two tables of `spec`, row for row.

    Never raises for what a side or the warehouse does: a missing table, a refused or failed statement, a side that
    changed and a cancelled run give a NOT_PROVEN report with the reason. Raises SpecError for wrong use (a key that
    neither side has). Nothing is written or cached on the warehouse.
    """
    return _Comparison(warehouse, spec, progress, cancelled, requested_by, update_of).run()


def not_proven(spec: ComparisonSpec, reason: str, requested_by: str = "") -> ParityReport:
    """The report of a comparison that could not start, as when no warehouse answers."""
    return ParityReport(
        verdict=Verdict.NOT_PROVEN,
        reason=reason,
        baseline=SideState(spec.baseline),
        candidate=SideState(spec.candidate),
        keys=spec.keys,
        columns=(),
        started_at=datetime.now(UTC),
        requested_by=requested_by,
        spec=spec.to_dict(),
    )


@dataclass
class _Comparison:
    """One comparison under way: gathers what is found, step by step, and turns it into the report."""

    warehouse: Warehouse
    spec: ComparisonSpec
    progress: Callable[[Progress], None]
    cancelled: Callable[[], bool]
    requested_by: str
    update_of: UpdateOf | None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)
    timings: list[Timing] = field(default_factory=list)
    schemas: list[TableSchema] = field(default_factory=list)
    states: list[SideState] = field(default_factory=list)
    alignment: Alignment | None = None
    plan: Plan | None = None
    sql_hash: str = ""
    scan: Scan | None = None
    duplicates: tuple[int, int] | None = None
    details: Details | None = None
    final: bool | None = None
    notes: list[str] = field(default_factory=list)
    buckets: int = 0

    def run(self) -> ParityReport:
        try:
            self._read_sides()
            self.alignment = align(self.spec, self.schemas[0], self.schemas[1])
            self.plan = make_plan(self.spec, self.alignment)
            if self.plan is not None and self.plan.columns:
                self.sql_hash = sql_hash(self.plan)
                self._compare_rows(self.plan)
            self._read_states_again()
        except Cancelled:
            return self._report(Verdict.NOT_PROVEN, "cancelled before the comparison was complete")
        except SideUnreadable as e:
            return self._report(Verdict.NOT_PROVEN, str(e))
        except StatementError as e:
            reason = f"a statement failed: {_told(self.spec, e)}"
            if self.alignment is not None and self.alignment.decides:
                return self._report(Verdict.DIFFERENT, f"{schema_reason(self.alignment)}; rows not compared: {reason}")
            return self._report(Verdict.NOT_PROVEN, reason)
        return self._report(*judge(self.alignment, self.plan, self.scan, self.details, self.states, self.final))

    @contextmanager
    def _step(self, step: str, message: str) -> Any:
        if self.cancelled():
            raise Cancelled(step)
        self._tell(step, message)
        begin = time.monotonic()
        try:
            yield
        finally:
            self.timings.append(Timing(step, round(time.monotonic() - begin, 3)))

    def _tell(self, step: str, message: str) -> None:
        seconds = round(time.monotonic() - self.clock, 3)
        self.progress(Progress(step, message, _STEPS.index(step), len(_STEPS) - 1, seconds))

    def _ask(self, sql: str, parameters: Parameters | None = None) -> Any:
        return self.warehouse.execute(sql, parameters, self.cancelled)

    def _read_sides(self) -> None:
        """Schemas and states. A Delta table is tied to the version it has, with that version's columns."""
        with self._step("schema", "reading the schemas of both sides"):
            for name, wanted in self._names():
                self.schemas.append(read_schema(self.warehouse, name, self.cancelled, wanted))
        with self._step("state", "noting the version of both sides"):
            for i, (name, wanted) in enumerate(self._names()):
                state = read_state(self.warehouse, name, self.schemas[i], wanted, self.update_of, self.cancelled)
                self.schemas[i], state = pin(self.warehouse, self.schemas[i], state, self.cancelled)
                self.states.append(state)

    def _read_states_again(self) -> None:
        with self._step("verify", "looking whether a side changed meanwhile"):
            for i, (name, wanted) in enumerate(self._names()):
                before, schema = self.states[i], self.schemas[i]
                if not before.pinned:
                    schema = read_schema(self.warehouse, name, self.cancelled)
                after = read_state(self.warehouse, name, schema, wanted, self.update_of, self.cancelled)
                version = after.version_before
                if not before.pinned and schema.names_and_types != self.schemas[i].names_and_types:
                    version = "other columns"
                elif before.pinned and version != before.version_before:
                    self.notes.append(
                        f"{name} was written while it was compared (now {version}): the report is about "
                        f"{before.version_before}"
                    )
                self.states[i] = replace(before, version_after=version, writer=before.writer or after.writer)

    def _compare_rows(self, plan: Plan) -> None:
        """All that is read of the rows: at the versions that were found, else as they are now."""
        versions = _versions(self.states)
        try:
            self._read_rows(replace(plan, versions=versions))
        except StatementError as e:
            # Some tables are described at a version and yet cannot be read at one.
            if versions == plan.versions or not _TIME_TRAVEL.search(str(e)):
                raise
            self.notes.append(f"read without fixed versions, which the service refuses: {_told(self.spec, e)}")
            self.states = [
                replace(s, pinned=wanted is not None) for s, (_, wanted) in zip(self.states, self._names(), strict=True)
            ]
            self._read_rows(plan)

    def _read_rows(self, plan: Plan) -> None:
        self._fingerprint(plan)
        of_baseline = self._duplicates(plan)
        self._details(plan)
        self.duplicates = duplicates_of(of_baseline, self.details)
        self._final(plan)

    def _names(self) -> tuple[tuple[str, int | None], tuple[str, int | None]]:
        spec = self.spec
        return (spec.baseline, spec.baseline_version), (spec.candidate, spec.candidate_version)

    def _fingerprint(self, plan: Plan) -> None:
        with self._step("fingerprint", "reading both sides once"):
            self.buckets = fine_buckets(self._size())
            self.scan = read_scan(self._ask(fingerprint_sql(plan, self.buckets)))

    def _size(self) -> int | None:
        """About the bytes of a side, None where unknown: it decides how finely rows are summed, and no result."""
        known = max((s.bytes for s in self.states if s.bytes is not None), default=None)
        return planned_bytes(self.warehouse, self.spec.baseline, self.cancelled) if known is None else known

    def _duplicates(self, plan: Plan) -> int | None:
        """Those of the baseline; None where all rows are read again, which shows them too."""
        assert self.scan is not None
        if chosen_buckets(self.scan) is None:
            return None
        if self.scan.unique:
            return 0
        with self._step("duplicates", "counting rows of the same key"):
            found = read_duplicates(self.scan, self._ask(duplicates_sql(plan)))
        if found is None:
            raise SideUnreadable("a side changed between two reads: compare again when nothing writes to it")
        return found

    def _details(self, plan: Plan) -> None:
        assert self.scan is not None
        if self.scan.identical:
            return
        with self._step("details", f"re-reading the rows of {self.scan.differing_buckets} differing buckets of keys"):
            parameters = None
            if any(c.sensitive for c in plan.columns):
                parameters = {"hash_key": self.spec.hash_key or secrets.token_hex(32)}
            try:
                rows = self._ask(details_sql(plan, self.scan, self.buckets), parameters)
            except StatementError as e:
                rule = self.spec.baseline_exclusion or self.spec.candidate_exclusion
                if not rule or e.sqlstate[:2] not in _RULE_MAY_BE_WRONG:
                    raise
                # An exclusion rule is a hint: where a side has none of its columns, the rows count all the same.
                plan = replace(plan, spec=replace(self.spec, baseline_exclusion=None, candidate_exclusion=None))
                rows = self._ask(details_sql(plan, self.scan, self.buckets), parameters)
                why = _told(self.spec, e)
                self.notes.append(f"the exclusion rule could not be applied to both sides and explains nothing: {why}")
            self.details = read_details(plan, rows)

    def _final(self, plan: Plan) -> None:
        if not self.spec.final or self.scan is None:
            return
        if not self.scan.identical:
            if self.details is not None and not self.details.differing:
                self.notes.append(
                    "the deterministic comparison did not run: rows are equal only within the tolerance, which no "
                    "comparison of exact values can confirm"
                )
            return
        with self._step("final", "comparing every value, without hashes"):
            row: Row = self._ask(final_sql(plan))[0]
            self.final = int(row["n"]) == 0 and (int(row["a"]), int(row["b"])) == self.scan.rows

    def _report(self, verdict: Verdict, reason: str) -> ParityReport:
        spec, scan, details, plan = self.spec, self.scan, self.details, self.plan
        states = [*self.states, *(SideState(n) for n, _ in self._names()[len(self.states) :])]
        if scan is not None:
            states = [replace(s, rows=scan.rows[i]) for i, s in enumerate(states)]
        if scan is not None and plan is not None and plan.watermark is not None:
            newest = [None if n is None else plan.watermark.text(n) for n in scan.newest]
            states = [replace(s, watermark=newest[i]) for i, s in enumerate(states)]
        counted = scan is not None and (scan.identical or details is not None)
        differing = details.differing if details is not None else 0
        watermark = plan.spec.watermark_columns if plan is not None and plan.watermark is not None else ()
        schema_decides = self.alignment is not None and self.alignment.decides
        unseen = bool(plan is not None and plan.not_compared) or bool(scan is not None and scan.doubtful)
        rows_decide = verdict is Verdict.DIFFERENT and not schema_decides and not unseen
        differences = self.alignment.differences if self.alignment is not None else ()
        rules = type_rules(plan) if plan is not None else {}
        causes = causes_of(details, differences, watermark) if details is not None else ()
        late = sum(c.rows for c in causes if c.name == "timing")
        probability: float | None = None
        if scan is not None:
            probability = 0.0 if self.final else MISSED_DIFFERENCE
        self._tell("done", reason)
        return ParityReport(
            verdict=verdict,
            reason=reason,
            baseline=states[0],
            candidate=states[1],
            keys=tuple(c.name for c in plan.keys) if plan is not None and plan.columns else spec.keys,
            columns=tuple(c.name for c in plan.columns) if plan is not None else (),
            missing_rows=(details.missing if details else 0) if counted else None,
            extra_rows=(details.extra if details else 0) if counted else None,
            modified_rows=(details.modified if details else 0) if counted else None,
            duplicate_rows=dict(zip(("baseline", "candidate"), self.duplicates or (None, None), strict=True)),
            column_mismatches=_mismatches(plan, details),
            schema_differences=tuple(_with_rule(d, rules, plan) for d in differences),
            causes=causes,
            samples=details.samples if details is not None else (),
            notes=(*self.notes, *self._notes(states)),
            not_compared=dict(plan.not_compared) if plan is not None else {},
            compared_as=rules,
            explained_by_time=rows_decide and 0 < differing == late,
            within_threshold=verdict is Verdict.IDENTICAL or (rows_decide and 0 < differing <= spec.row_threshold),
            within_tolerance_rows=details.tolerated if details is not None else 0,
            final=bool(self.final),
            sql_hash=self.sql_hash,
            fingerprints=self._fingerprints(),
            started_at=self.started_at,
            seconds=round(time.monotonic() - self.clock, 3),
            timings=tuple(self.timings),
            requested_by=self.requested_by,
            missed_difference_probability=probability,
            spec=spec.to_dict(),
        )

    def _fingerprints(self) -> dict[str, Fingerprint]:
        """Those of both sides, keyed where columns are sensitive; none where the key is not kept."""
        if self.scan is None or self.plan is None:
            return {}
        prints = dict(zip(("baseline", "candidate"), self.scan.fingerprints, strict=True))
        if not any(c.sensitive for c in self.plan.columns):
            return prints
        key = self.spec.hash_key
        return {side: found.sealed(key) for side, found in prints.items()} if key else {}

    def _notes(self, states: list[SideState]) -> list[str]:
        spec, scan, plan = self.spec, self.scan, self.plan
        notes: list[str] = []
        if spec.baseline == spec.candidate and spec.baseline_version == spec.candidate_version:
            notes.append("a table compared with itself: this proves nothing about another one")
        if scan is not None and scan.rows == (0, 0):
            notes.append("both sides are empty" + (" under this filter" if spec.has_condition else ""))
        elif scan is not None and 0 in scan.rows:
            notes.append(f"the {'baseline' if scan.rows[0] == 0 else 'candidate'} is empty")
        if self.details is not None and spec.row_threshold and self.details.differing:
            within = "within" if self.details.differing <= spec.row_threshold else "beyond"
            notes.append(
                f"{self.details.differing:,} differing rows are {within} the threshold of {spec.row_threshold:,}"
            )
        if plan is not None:
            rules = type_rules(plan)
            notes += [f"{c.name}: {rules.get(c.name, c.form.note)}" for c in plan.columns if c.form.note]
            notes += [
                f"{c.name}: compared exactly, no tolerance applies to "
                + ("a key" if c.is_key else f"{c.baseline.type} beside {c.candidate.type}")
                for c in plan.columns
                if _expects_tolerance(plan.spec, c) and not tolerance_applies(plan, c)
            ]
            if spec.watermark_columns and plan.watermark is None:
                named = ", ".join(spec.watermark_columns)
                notes.append(f"no watermark by {named}: not of one type that counts time on both sides")
        elif self.alignment is not None:
            notes.append("rows were not compared: a key column is missing on one side")
        a, b = (s.last_write for s in states)
        if a is not None and b is not None and abs((a - b).total_seconds()) > spec.skew_warning:
            hours = abs((a - b).total_seconds()) / 3600
            notes.append(f"the sides were last written {hours:.1f} h apart: differences may come from time alone")
        # Of a side that was never reached nothing is known, not even that it is a view.
        for word, state in zip(("baseline", "candidate"), states[: len(self.states)], strict=False):
            if not identifies_data(state.version_before):
                kind = f" ({state.table_type})" if state.table_type else ""
                notes.append(f"nothing identifies the data of the {word}{kind}: a later check must read it again")
            if state.table_type == "VIEW":
                notes.append(
                    f"the {word} is a view: whether a row filter or mask hides something of the tables under it is not "
                    "looked at, it was compared as who compares may read it"
                )
        return notes


def type_rules(plan: Plan) -> dict[str, TypeRule]:
    """Of each compared column whose types differ the rule that its values are compared by."""
    found: dict[str, TypeRule] = {}
    for c in plan.columns:
        if c.baseline.type == c.candidate.type:
            continue
        tolerance = str(plan.spec.tolerance_of(c.name)) if tolerance_applies(plan, c) else ""
        method = "tolerance" if tolerance else "rounding" if c.form.rounds else "exact"
        rule = c.form.note or "exact, both as they are"
        found[c.name] = TypeRule(str(c.baseline.type), str(c.candidate.type), method, rule, tolerance)
    return found


def _with_rule(difference: SchemaDifference, rules: dict[str, TypeRule], plan: Plan | None) -> SchemaDifference:
    """A difference of types with how the values were compared all the same, or that they were not."""
    if difference.aspect != SchemaAspect.TYPES:
        return difference
    if difference.column in rules:
        return replace(difference, note=f"values compared: {rules[difference.column]}")
    if plan is not None and difference.column in plan.not_compared:
        return replace(difference, note="values not compared")
    return difference


def final_sql(plan: Plan) -> str:
    """The deterministic comparison: rows of both sides, and the distinct rows that they do not hold equally often.

    `n` = 0 is equal counts and an empty EXCEPT ALL in both directions, values compared. Each side is read once and all
    in one statement, so that also a view, whose data no version fixes, is compared in one state.
    """
    fields = ", ".join(c.field for c in plan.columns)

    def side(s: Side) -> str:
        values = ", ".join(f"{c.normal(s)} AS {c.field}" for c in plan.columns)
        return f"SELECT {values}, {int(s)} AS side {plan.relation(s)}"

    return f"""SELECT coalesce(sum(na), 0) AS a, coalesce(sum(nb), 0) AS b, count_if(na <> nb) AS n FROM (
  SELECT {fields}, sum(1L - side) AS na, sum(CAST(side AS BIGINT)) AS nb
  FROM ({side(Side.BASELINE)} UNION ALL {side(Side.CANDIDATE)}) GROUP BY {fields}
)"""


def sql_hash(plan: Plan) -> str:
    """What a comparison computes, as a hash: that of its first statement, whatever versions and sizes are found."""
    spec = plan.spec
    at_versions = replace(plan, versions=(spec.baseline_version, spec.candidate_version))
    return hashlib.sha256(fingerprint_sql(at_versions, fine_buckets(None)).encode()).hexdigest()


def _versions(states: Sequence[SideState]) -> tuple[int | None, int | None]:
    """The Delta versions to read, None for a side that is read as it is now."""
    a, b = (delta_version(s) if s.pinned else None for s in states)
    return a, b


def _told(spec: ComparisonSpec, error: StatementError) -> str:
    """The error for a report: its message may quote values, which a report with sensitive columns must not hold."""
    return f"{error.kind} (its message is left out: it may hold values)" if spec.sensitive_columns else str(error)


def _expects_tolerance(spec: ComparisonSpec, column: Compared) -> bool:
    """Whether someone may believe that a tolerance applies: it is named, or it is a number and numbers have one."""
    found = spec.tolerance_of(column.name)
    if any(same_name(name, column.name) for name in spec.column_tolerances):
        return bool(found)
    kinds = {column.baseline.type.name, column.candidate.type.name}
    return not column.is_key and "decimal" in kinds and bool(found.absolute or found.relative)


def _mismatches(plan: Plan | None, details: Details | None) -> dict[str, int]:
    """Columns in the baseline's order."""
    if plan is None or details is None:
        return {}
    sums = {name: sum(kinds.values()) for name, kinds in details.columns.items()}
    return {c.name: sums[c.name] for c in plan.columns if sums.get(c.name)}


def estimate(warehouse: Warehouse, spec: ComparisonSpec, cancelled: Callable[[], bool] = never) -> Estimate:
    """What a comparison would read, from metadata alone (no scan).

    Raises SideUnreadable or StatementError, and Cancelled.
    """
    states = []
    for name, pinned in ((spec.baseline, spec.baseline_version), (spec.candidate, spec.candidate_version)):
        schema = read_schema(warehouse, name, cancelled, pinned)
        state = read_state(warehouse, name, schema, pinned, None, cancelled)
        if schema.provider == "delta" and "VIEW" not in schema.table_type:
            version = "" if pinned is None else f" VERSION AS OF {pinned}"
            sql = f"SELECT count(*) AS n FROM {quote_table(name)}{version}"
            rows = warehouse.execute(sql, None, cancelled)[0]["n"]
            state = replace(state, rows=int(rows))
        states.append(state)
    a, b = states

    def both(x: int | None, y: int | None) -> int | None:
        return None if x is None or y is None else x + y

    return Estimate(both(a.rows, b.rows), both(a.bytes, b.bytes), a, b)


def recheck(
    warehouse: Warehouse,
    report: ParityReport,
    *,
    update_of: UpdateOf | None = None,
    read_again: bool = True,
    hash_key: str = "",
    cancelled: Callable[[], bool] = never,
) -> Recheck:
    """Whether `report` still describes the tables. hash_key: that of the comparison, for keyed fingerprints.

    HOLDS when both sides have the versions of the report, or else (with `read_again`) the same fingerprints; CHANGED
    when schema or fingerprints are others; STALE when it is unknown, as while something writes to a side.
    """
    spec = ComparisonSpec.from_dict(report.spec)
    if report.verdict is Verdict.NOT_PROVEN or not (report.fingerprints or spec.sensitive_columns):
        return Recheck(RecheckState.STALE, f"the report proves nothing that could hold: {report.reason}")
    names = ((spec.baseline, spec.baseline_version), (spec.candidate, spec.candidate_version))
    try:
        schemas, states = [], []
        for name, wanted in names:
            schema = read_schema(warehouse, name, cancelled, wanted)
            state = read_state(warehouse, name, schema, wanted, update_of, cancelled)
            schema, state = pin(warehouse, schema, state, cancelled)
            schemas.append(schema)
            states.append(state)
        alignment = align(spec, schemas[0], schemas[1])
        if _comparable(alignment.differences) != _comparable(report.schema_differences):
            return Recheck(RecheckState.CHANGED, "the schemas differ otherwise than in the report")
        plan = make_plan(spec, alignment)
        if plan is None or tuple(c.name for c in plan.columns) != report.columns:
            return Recheck(RecheckState.CHANGED, "the compared columns are others than in the report")
        if sql_hash(plan) != report.sql_hash:
            return Recheck(RecheckState.STALE, "the comparison is computed otherwise now: compare again")
        moved = []
        for old, now in zip((report.baseline, report.candidate), states, strict=True):
            if now.writer is not None:
                return Recheck(RecheckState.STALE, f"{now.name} is being written by {now.writer}")
            if now.hidden is not None:
                return Recheck(RecheckState.STALE, f"{now.name} has a {now.hidden} now: rows or values may be hidden")
            if now.version_before != old.version_before:
                moved.append(f"{old.name} was {old.version_before}, is {now.version_before}")
            elif now.last_write is None and old.last_write is not None:
                moved.append(f"the history of {old.name} no longer tells when its {old.version_before} was written")
            elif now.last_write is not None and old.last_write not in (None, now.last_write):
                # A table that is dropped and made again counts its versions from 0 again.
                moved.append(f"{old.name} has its {old.version_before} anew since {now.last_write.isoformat()}")
            elif not identifies_data(now.version_before):
                moved.append(f"nothing identifies the data of {old.name}")
        if not moved:
            return Recheck(RecheckState.HOLDS, "both sides have the versions of the report")
        if not read_again:
            return Recheck(RecheckState.STALE, "; ".join(moved))
        if not report.fingerprints or (not hash_key and any(f.keyed for f in report.fingerprints.values())):
            why = "the key of the report's fingerprints is not at hand"
            return Recheck(RecheckState.STALE, "; ".join([*moved, why]))
        plan = replace(plan, versions=_versions(states))
        scan = read_scan(warehouse.execute(fingerprint_sql(plan, fine_buckets(None)), None, cancelled))
        for (name, wanted), schema, now in zip(names, schemas, states, strict=True):
            if now.pinned:
                continue
            after = read_state(warehouse, name, schema, wanted, update_of, cancelled)
            if after.writer is not None or after.version_before != now.version_before:
                return Recheck(RecheckState.STALE, f"{name} changed while it was read again")
    except StatementError as e:
        return Recheck(RecheckState.STALE, _told(spec, e))
    except (SideUnreadable, SpecError) as e:
        return Recheck(RecheckState.STALE, str(e))
    for side, now_print in zip(("baseline", "candidate"), scan.fingerprints, strict=True):
        then = report.fingerprints[side]
        if (now_print.sealed(hash_key) if then.keyed else now_print).digest != then.digest:
            return Recheck(RecheckState.CHANGED, f"the data of the {side} differ from the report's; {'; '.join(moved)}")
    return Recheck(RecheckState.HOLDS, f"the data are those of the report, though {'; '.join(moved)}")


def _comparable(differences: Any) -> list[Any]:
    return sorted((d.aspect, d.column, d.baseline or "", d.candidate or "") for d in differences)
