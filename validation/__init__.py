"""Parity: are two tables equal, row for row? SQL in, a typed report out; usable alone (`python -m validation`)."""

import signal as _signal
import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING
from typing import Any as _Any

if _sys.argv[0] == "-m":
    # While the modules of a command load, Ctrl-C ends it without a traceback, as other signals do.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

if TYPE_CHECKING:
    from validation.public import *  # noqa: F403


def __getattr__(name: str) -> _Any:
    """A public name. The first one imports all: 0.05 s, too much for a program that needs one module of the package."""
    public = _import_module("validation.public")
    if name not in public.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(public, name)
