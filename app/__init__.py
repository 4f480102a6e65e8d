"""The control panel: its pages, its command line, its worker."""

import signal as _signal
import sys as _sys
from pathlib import Path as _Path

if _sys.argv[0] == "-m" or _Path(_sys.argv[0]).name == "cutover":
    # While the modules of a command load, Ctrl-C ends it without a traceback, as other signals do.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
