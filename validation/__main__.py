"""`python -m validation BASELINE CANDIDATE --key K ...`: compares any two tables of the configured workspace.

Exit status: 0 identical, 1 different, 3 not proven (also whatever goes wrong unforeseen), 2 wrong use, 128 + its number
where a signal ended it. With `--json` standard output is one JSON object in every case: the report, or
`{"error": ...}`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from databricks_client.endpoint import Endpoint, EndpointError
from databricks_client.redact import install, redact
from databricks_client.signals import Ending, Signalled, ends_on_signals
from databricks_client.terminal import emit, emit_json, json_text, safe_output
from validation.comparison import compare, estimate, not_proven
from validation.connector import DatabricksWarehouse
from validation.errors import SpecError, StatementError
from validation.report import Estimate, ParityReport, Progress, SideState, Verdict
from validation.spec import EXACT, ComparisonSpec, SchemaAspect, Tolerance
from validation.state import UpdateOf
from validation.updates import current_user, readable_updates
from validation.views import as_csv, as_html, as_text
from validation.warehouse import Warehouse

STATUS = {Verdict.IDENTICAL: 0, Verdict.DIFFERENT: 1, Verdict.NOT_PROVEN: 3}
WRONG_USE = 2
_LONGEST = 600
_MAPPED = re.compile(r"(`(?:[^`]|``)+`|[^=]+)=(`(?:[^`]|``)+`|[^=]+)", re.S)


class UsageError(Exception):
    """The command line cannot be understood; one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; --help lists the options")


def parser() -> argparse.ArgumentParser:
    """The command line. Parsing raises UsageError."""
    # No abbreviations: a script's `--js` would change its meaning with the next option.
    p = _Parser(prog="python -m validation", description="Are two tables equal, row for row?", allow_abbrev=False)
    p.add_argument("baseline", help="catalog.schema.table or shorter; completed by the warehouse's defaults")
    p.add_argument("candidate", help="in the same form")
    p.add_argument(
        "--key", action="append", default=[], metavar="COLUMN", help="identify rows by this column; may be repeated"
    )
    p.add_argument("--where", metavar="SQL", help="compare only rows that satisfy this condition")
    p.add_argument("--candidate-where", metavar="SQL", help="use this condition for the candidate, not --where")
    p.add_argument("--allow-empty", action="store_true", help="accept two sides without rows as identical")
    p.add_argument("--exclude", action="append", default=[], metavar="COLUMN", help="leave this column out")
    p.add_argument(
        "--map", action="append", default=[], metavar="BASELINE=CANDIDATE", help="compare columns of two names"
    )
    p.add_argument("--absolute", type=float, default=0.0, metavar="N", help="accept numbers this close as equal")
    p.add_argument(
        "--relative", type=float, default=0.0, metavar="N", help="accept numbers this close in proportion as equal"
    )
    p.add_argument("--seconds", type=float, default=0.0, metavar="N", help="accept timestamps this close as equal")
    p.add_argument(
        "--tolerate", action="append", default=[], metavar="COLUMN", help="apply tolerances to this column only"
    )
    p.add_argument("--threshold", type=int, default=0, metavar="ROWS", help="accept this many differing rows")
    p.add_argument(
        "--watermark",
        action="append",
        default=[],
        metavar="COLUMN",
        help="separate late rows from errors by this time column",
    )
    p.add_argument(
        "--sensitive", action="append", default=[], metavar="COLUMN", help="show only keyed hashes of this column"
    )
    p.add_argument("--samples", type=int, default=20, metavar="N", help="show this many differing rows of each kind")
    p.add_argument("--baseline-version", type=int, metavar="N", help="read this Delta version")
    p.add_argument("--candidate-version", type=int, metavar="N", help="read this Delta version")
    aspects = ", ".join(a.value for a in SchemaAspect)
    p.add_argument(
        "--decide", action="append", default=[], metavar="ASPECT", help=f"let this schema aspect decide: {aspects}"
    )
    p.add_argument("--warn", action="append", default=[], metavar="ASPECT", help="only report this schema aspect")
    p.add_argument("--final", action="store_true", help="also compare every value without hashes, for a sign-off")
    form = p.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the whole report as one JSON object")
    form.add_argument("--html", action="store_true", help="print the report as an HTML page")
    form.add_argument("--csv", action="store_true", help="print the sampled differences as CSV")
    form.add_argument(
        "--estimate", action="store_true", help="compare nothing; estimate from metadata what would be read"
    )
    p.add_argument("--quiet", action="store_true", help="print no progress on standard error")
    return p


def spec_of(arguments: argparse.Namespace) -> ComparisonSpec:
    """The specification that the command line gives. Raises SpecError."""
    mapping: dict[str, str] = {}
    for pair in arguments.map:
        found = _MAPPED.fullmatch(pair)
        if found is None:
            raise SpecError(f"--map {pair}: write BASELINE=CANDIDATE, a name that holds = in backticks")
        left, right = (_unquoted(name) for name in found.groups())
        if left in mapping:
            raise SpecError(f"--map {pair}: {left} is mapped to {mapping[left]} already")
        mapping[left] = right
    values: dict[str, Any] = {}
    if arguments.decide or arguments.warn:
        try:
            decide = {SchemaAspect(a) for a in arguments.decide}
            warn = {SchemaAspect(a) for a in arguments.warn}
        except ValueError as e:
            raise SpecError(f"{e}: known aspects are {', '.join(a.value for a in SchemaAspect)}") from e
        values["deciding"] = (ComparisonSpec("a", "b").deciding | decide) - warn
    tolerance = Tolerance(arguments.absolute, arguments.relative, arguments.seconds)
    if arguments.tolerate and not tolerance:
        raise SpecError(f"--tolerate {arguments.tolerate[0]}: how much? give --absolute, --relative or --seconds too")
    return ComparisonSpec.from_dict(
        {
            "baseline": arguments.baseline,
            "candidate": arguments.candidate,
            "keys": tuple(arguments.key),
            "where": arguments.where,
            "candidate_where": arguments.candidate_where,
            "allow_empty": arguments.allow_empty,
            "excluded_columns": frozenset(arguments.exclude),
            "column_mapping": mapping,
            "tolerance": EXACT if arguments.tolerate else tolerance,
            "column_tolerances": dict.fromkeys(arguments.tolerate, tolerance),
            "row_threshold": arguments.threshold,
            "watermark_columns": tuple(arguments.watermark),
            "sensitive_columns": frozenset(arguments.sensitive),
            "sample_size": arguments.samples,
            "baseline_version": arguments.baseline_version,
            "candidate_version": arguments.candidate_version,
            "final": arguments.final,
            **values,
        }
    )


def _unquoted(name: str) -> str:
    return name[1:-1].replace("``", "`") if len(name) > 2 and name[0] == name[-1] == "`" else name


def output(report: ParityReport, arguments: argparse.Namespace) -> str:
    """The report in the requested form."""
    if arguments.json:
        return json_text(report.to_dict(), indent=2)
    if arguments.html:
        return as_html(report)
    if arguments.csv:
        return as_csv(report)
    return as_text(report)


def estimate_text(found: Estimate) -> str:
    """An estimate as text, one line a side."""

    def line(side: SideState) -> str:
        rows = "unknown rows" if side.rows is None else f"{side.rows:,} rows"
        size = "unknown size" if side.bytes is None else f"{side.bytes:,} bytes"
        return f"{side.name}: {rows}, {size}"

    return f"{line(found.baseline)}\n{line(found.candidate)}"


def main(argv: Sequence[str] | None = None, warehouse: Warehouse | None = None) -> int:
    """Run the command; `warehouse` replaces the configured one. Returns the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    install()
    with safe_output():
        try:
            arguments = parser().parse_args(_readable(given))
        except UsageError as e:
            return _fail(str(e), WRONG_USE, "--json" in given)
        try:
            with ends_on_signals(partial(_cancelled, arguments)) as end:
                return end.status(_run(arguments, warehouse, end))
        except Exception as e:  # noqa: BLE001 - Python's own status for it is 1, which would say "different"
            cause = "" if arguments.sensitive else f": {e}"
            return _fail(f"not proven, {type(e).__name__}{cause}", STATUS[Verdict.NOT_PROVEN], arguments.json)


def _readable(given: Sequence[str]) -> Sequence[str]:
    """The arguments; raises UsageError for bytes that are no text in the locale, which no warehouse takes."""
    for text in given:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise UsageError(f"{text!r} is not readable text: write arguments in UTF-8")
    return given


def _fail(text: str, status: int, as_json: bool) -> int:
    """What went wrong, in one line on standard error, with `--json` as an object on standard output too."""
    line = " ".join(redact(text).split())[:_LONGEST]
    if as_json:
        verdict = {"verdict": Verdict.NOT_PROVEN.value} if status == STATUS[Verdict.NOT_PROVEN] else {}
        emit_json({"error": line, **verdict})
    emit(f"python -m validation: {line}", error=True)
    return status


def _cancelled(arguments: argparse.Namespace, signal_name: str) -> None:
    """What is said when a signal ends the command: the report that there is, which proves nothing."""
    reason = f"cancelled by {signal_name} before the comparison was complete"
    if arguments.estimate:
        _fail(reason, STATUS[Verdict.NOT_PROVEN], arguments.json)
    else:
        emit(output(not_proven(spec_of(arguments), reason), arguments))


def _run(arguments: argparse.Namespace, warehouse: Warehouse | None, end: Ending) -> int:
    def print_progress(progress: Progress) -> None:
        if not arguments.quiet and not arguments.json and sys.stderr.isatty():
            emit(f"[{progress.seconds:6.1f} s] {progress.message}", error=True)

    def show(report: ParityReport) -> int:
        emit(output(report, arguments))
        return STATUS[report.verdict]

    def answer(opened: Warehouse, update_of: UpdateOf | None, user: Callable[[], str]) -> int:
        if arguments.estimate:
            emit(estimate_text(estimate(opened, spec)))
            return 0
        return show(compare(opened, spec, progress=print_progress, requested_by=user(), update_of=update_of))

    try:
        spec = spec_of(arguments)
        if warehouse is not None:
            return answer(warehouse, None, str)
        endpoint = Endpoint.discover()
        try:
            with DatabricksWarehouse.open(endpoint) as opened:
                # Loads the Databricks SDK, which `--help` and wrong use do not need.
                from databricks_client.client import Workspace

                workspace = Workspace(endpoint)
                return answer(opened, readable_updates(workspace), lambda: current_user(endpoint.workspace()))
        except StatementError as e:
            return show(not_proven(spec, str(e)))
    except Signalled as e:
        end.say(e.number)
        return STATUS[Verdict.NOT_PROVEN]
    except (SpecError, EndpointError) as e:
        return _fail(str(e), WRONG_USE, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
