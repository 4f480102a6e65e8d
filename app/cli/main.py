"""`cutover`: the command line, which can do everything that the pages can, without them.

Exit status: 0 done or pass, 1 failed or blocked, 2 wrong use. With `--json`, one JSON value on standard output, of what
failed `{"error": ...}`.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext

import typer

from app.cli.commands import BRIEF, CommandGroup
from app.cli.context import context
from app.cli.ending import DONE, FAILED, WRONG_USE, Ended, WrongUse
from databricks_client.redact import install, redact
from databricks_client.signals import Ending, ends_on_signals
from databricks_client.terminal import emit_json, safe_output

_STOPPED = "stopped; the journal has every step that was started"
# The parser of the command line catches Ctrl-C and returns this.
INTERRUPTED = 130

HELP = """Watch, prove, execute and undo the migration: everything that the pages can do.

Exit status: 0 done or pass, 1 failed or blocked, 2 wrong use."""

app = CommandGroup(name="cutover", help=HELP, no_args_is_help=True, rich_markup_mode=None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; an error that the user can act on is one line."""
    install()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and given[:1] and given[0] in BRIEF:
        # A fifth of the processor time of `cutover status` (0.12 of 0.66 s) went into garbage collections while modules
        # load, which free nothing. The process ends before garbage matters; other commands may run for hours.
        gc.disable()
    as_json = any(a.partition("=")[0] == "--json" for a in given)

    def final_message(_signal: str) -> None:
        _fail(_STOPPED, as_json, FAILED)

    # The worker ends by itself, in its own time.
    ending = nullcontext(Ending(final_message)) if given[:1] == ["worker"] else ends_on_signals(final_message)
    with safe_output(), ending as end:
        return end.status(_run(given, as_json, end))


def _run(given: Sequence[str], as_json: bool, end: Ending) -> int:
    try:
        if app.main(list(given), prog_name="cutover", standalone_mode=False) == INTERRUPTED:
            raise KeyboardInterrupt
    except Ended as e:
        return e.status
    except _wrong_use() as e:
        return _fail(str(e), as_json, WRONG_USE)
    except _failures() as e:
        return _fail(str(e), as_json, FAILED)
    except (KeyboardInterrupt, typer.Abort):
        if end.number is None:
            return _fail(_STOPPED, as_json, FAILED)
        end.say(end.number)
        return FAILED
    except BrokenPipeError:
        return FAILED
    except Exception as e:
        # The parser of the command line has errors of its own; everything else is an internal error.
        code = getattr(e, "exit_code", None)
        if code is None:
            if os.environ.get("CUTOVER_LOG", "").upper() == "DEBUG":
                if as_json:
                    emit_json({"error": f"{type(e).__name__}: {e}"})
                raise
            fault = f"internal error: {type(e).__name__}: {e} (CUTOVER_LOG=DEBUG shows where)"
            return _fail(fault, as_json, FAILED)
        if not given or "help" in type(e).__name__.lower():
            return _fail("no command given: cutover --help lists the commands", as_json, WRONG_USE)
        return DONE if code == 0 else _fail(_parser_words(e), as_json, WRONG_USE)
    finally:
        context.close()
    return DONE


# Python evaluates these only when an exception arrives; until then their modules need not be imported.


def _wrong_use() -> tuple[type[Exception], ...]:
    """Errors whose text says what the user, a setting or the migration file must change."""
    from app.config.base import ConfigError
    from databricks_client.endpoint import SettingError

    return WrongUse, ConfigError, SettingError


def _failures() -> tuple[type[Exception], ...]:
    """Errors whose text is the whole answer: what failed, why, what to do."""
    from app.access import Refused
    from app.operations.steps import UnknownStep
    from app.store.base import StoreError
    from app.store.leases import LeaseLost
    from databricks_client.endpoint import EndpointError
    from databricks_client.errors import WorkspaceError
    from validation.errors import SpecError

    return Refused, StoreError, WorkspaceError, EndpointError, LeaseLost, UnknownStep, SpecError


def _parser_words(error: Exception) -> str:
    words = getattr(error, "format_message", None)
    text = str(words() if callable(words) else error)
    return text.replace("Value error, ", "") or "wrong use: cutover --help lists the commands"


def _fail(text: str, as_json: bool, status: int) -> int:
    line = " ".join(redact(text).split())
    if as_json:
        emit_json({"error": line})
    context.err.say(f"cutover: {line}")
    return status


if __name__ == "__main__":
    sys.exit(main())
