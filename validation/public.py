"""The public names of the package, which `validation` itself offers."""

from validation.comparison import compare, estimate, recheck
from validation.errors import Cancelled, SideUnreadable, SpecError, StatementError, ValidationError
from validation.report import (
    Cause,
    Cell,
    Estimate,
    Fingerprint,
    ParityReport,
    Progress,
    Recheck,
    RecheckState,
    Sample,
    SampleKind,
    SchemaDifference,
    SideState,
    Timing,
    Verdict,
)
from validation.row_reveal import reveal
from validation.spec import ComparisonSpec, SchemaAspect, Tolerance
from validation.state import TableUpdate
from validation.warehouse import Warehouse

__all__ = [
    "Cancelled",
    "Cause",
    "Cell",
    "ComparisonSpec",
    "Estimate",
    "Fingerprint",
    "ParityReport",
    "Progress",
    "Recheck",
    "RecheckState",
    "Sample",
    "SampleKind",
    "SchemaAspect",
    "SchemaDifference",
    "SideState",
    "SideUnreadable",
    "SpecError",
    "StatementError",
    "TableUpdate",
    "Timing",
    "Tolerance",
    "ValidationError",
    "Verdict",
    "Warehouse",
    "compare",
    "estimate",
    "recheck",
    "reveal",
]
