"""Parity: are two tables equal, row for row? SQL in, a typed report out; usable alone (`python -m validation`)."""

import signal as _signal
import sys as _sys

if _sys.argv[0] == "-m":
    # While the modules of a command load, Ctrl-C ends it without a traceback, as other signals do.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from validation.compare import compare, estimate, recheck
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
from validation.reveal import reveal
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
