"""One sampled row of a stored report: its name in the audit log, and what to read to see it in clear."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.store.parity import ParityRepository
from validation.report import ParityReport, Sample, SideState
from validation.spec import ComparisonSpec


class NoSuchSample(Exception):
    """There is no such report, or it has no such row."""


@dataclass(frozen=True)
class Sampled:
    """One sample of a stored report: `number` counts from 1 in the order of the report."""

    parity_id: str
    table: str
    number: int

    @property
    def subject(self) -> str:
        """What the audit log calls it."""
        return f"{self.parity_id} {self.table} row {self.number}"


def sampled_row(sampled: Sampled, parity: ParityRepository) -> tuple[ComparisonSpec, Sample]:
    """The comparison of the row's table at the versions that were compared, and the sample.

    Raises NoSuchSample, StoreError.
    """
    stored = parity.report(sampled.parity_id, sampled.table)
    if stored is None:
        raise NoSuchSample(f"there is no report of {sampled.table} in comparison {sampled.parity_id}")
    report = ParityReport.from_dict(stored)
    if not 1 <= sampled.number <= len(report.samples):
        raise NoSuchSample(f"the report of {sampled.table} has no sampled row {sampled.number}")
    spec = ComparisonSpec.from_dict(report.spec)
    return (
        replace(
            spec,
            hash_key=parity.hash_key(sampled.parity_id) or "",
            baseline_version=_version(report.baseline, spec.baseline_version),
            candidate_version=_version(report.candidate, spec.candidate_version),
        ),
        report.samples[sampled.number - 1],
    )


def _version(side: SideState, asked: int | None) -> int | None:
    """The Delta version that was compared, so that the row is found though the table moved on."""
    before = side.version_before or ""
    return int(before.removeprefix("delta:")) if side.pinned and before.startswith("delta:") else asked
