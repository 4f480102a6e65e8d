"""Removes guards one at a time from a copy of the tree and looks whether the tests notice.

`mutants.toml` lists them: file, the exact text, what it becomes, what that stands for, and which tests should notice.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).with_name("mutants.toml")
COPIED = ("app", "databricks_client", "validation", "pipeline", "emulator", "demo", "scripts", "benchmarks", "tests",
          "migrations", "pyproject.toml", "databricks.yml", "app.yaml", "README.md", "docs")  # fmt: skip

PRELOADED = ("pytest", "hypothesis", "sqlalchemy.dialects.sqlite", "alembic", "pydantic", "typer", "yaml",
             "databricks.sdk", "databricks.sql", "pyarrow", "starlette", "psycopg", "streamlit")  # fmt: skip
"""Imported once and inherited by each run: 4 s of processor time each."""

CPU_SECONDS, WALL_SECONDS = 240, 1500
"""A run that needs more does not end: noticed. By processor time, since the machine may be busy."""

NOTICED, SURVIVED, BROKEN, GONE = "noticed", "NOT NOTICED", "BROKEN", "GONE"


@dataclass(frozen=True)
class Mutant:
    """A guard that is removed. tests: files or node ids. accepted: why no test has to notice it; empty for the rest."""

    file: str
    text: str
    becomes: str
    means: str
    tests: tuple[str, ...]
    accepted: str = ""

    def applied(self, source: str) -> str | None:
        """The source with it; None where its text is not there exactly once."""
        return source.replace(self.text, self.becomes) if source.count(self.text) == 1 else None


@dataclass(frozen=True)
class Result:
    """What became of a mutant. by: the first test that failed."""

    file: str
    means: str
    outcome: str
    seconds: float
    by: str = ""


def load(only: str = "*") -> list[Mutant]:
    """The mutants whose file or meaning fits the pattern, with their tests."""
    data = tomllib.loads(DATA.read_text())
    found = []
    for m in data["mutant"]:
        tests = m.get("tests") or data["tests"][m["file"]]
        found.append(Mutant(m["file"], m["text"], m["becomes"], m["means"], tuple(tests), m.get("accepted", "")))
    return [m for m in found if fnmatch(m.file, only) or fnmatch(m.means, f"*{only}*")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs them. Exit status 0 where every mutant was noticed or is accepted, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__)
    parser.add_argument("--only", default="*", help="a pattern of a file (app/store/*) or a part of a meaning")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--results", type=Path, help="append each result to this file; what it has as noticed is not run again"
    )
    parser.add_argument("--list", action="store_true", help="only check that every text is there, once")
    chosen = parser.parse_args(arguments)
    mutants = load(chosen.only)
    results = _before(chosen.results, mutants)
    gone = [m for m in mutants if m.applied((ROOT / m.file).read_text()) is None]
    for m in gone:
        print(f"{GONE}: {m.file}: {m.means}")
    if chosen.list or not mutants:
        print(f"{len(mutants)} mutants, {len(gone)} gone")
        return 1 if gone or not mutants else 0
    known = {(r.file, r.means) for r in results}
    results += [Result(m.file, m.means, GONE, 0.0) for m in gone]
    with ProcessPoolExecutor(chosen.processes, initializer=_prepare) as pool:
        pending = {pool.submit(_run, m): m for m in mutants if m not in gone and (m.file, m.means) not in known}
        for done in as_completed(pending):
            result = done.result()
            results.append(result)
            print(f"{result.outcome}: {result.file}: {result.means} ({result.seconds:.0f} s; {result.by})", flush=True)
            if chosen.results:
                with chosen.results.open("a") as file:
                    file.write(json.dumps(asdict(result)) + "\n")
    return _summary(mutants, results)


def _before(file: Path | None, mutants: Sequence[Mutant]) -> list[Result]:
    """What an earlier run noticed: a long run can be interrupted and goes on."""
    if file is None or not file.exists():
        return []
    wanted = {(m.file, m.means) for m in mutants}
    found = [Result(**json.loads(line)) for line in file.read_text().splitlines()]
    return list({(r.file, r.means): r for r in found if r.outcome == NOTICED and (r.file, r.means) in wanted}.values())


def _summary(mutants: Sequence[Mutant], results: Sequence[Result]) -> int:
    accepted = {(m.file, m.means) for m in mutants if m.accepted}
    noticed = sum(r.outcome == NOTICED for r in results)
    print(f"{noticed} of {len(results)} noticed ({100 * noticed / len(results):.1f} %)")
    bad = [r for r in results if r.outcome != NOTICED]
    for r in bad:
        print(f"  {r.outcome}{' (accepted)' if (r.file, r.means) in accepted else ''}: {r.file}: {r.means}")
    return 1 if any((r.file, r.means) not in accepted for r in bad) else 0


_tree: Path


def _prepare() -> None:
    """A copy of the tree for this process, without what git ignores; modules of others imported once."""
    global _tree
    _tree = Path(tempfile.mkdtemp(prefix="cutover-mutants-"))
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *COPIED],
                            cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (_tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, _tree / name)
    for name in PRELOADED:
        import_module(name)


def _run(mutant: Mutant) -> Result:
    file = _tree / mutant.file
    before = file.read_text()
    after = mutant.applied(before)
    assert after is not None
    started = time.monotonic()
    try:
        _write(file, after)
        outcome, by = _tests(mutant.tests)
    finally:
        _write(file, before)
    return Result(mutant.file, mutant.means, outcome, round(time.monotonic() - started, 1), by)


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    # Bytecode is told apart by second and size: two versions of one second may look the same.
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
        compiled.unlink()


def _tests(tests: Sequence[str]) -> tuple[str, str]:
    """Whether the tests fail in the copy, and the first one that does."""
    log = _tree / "pytest.log"
    child = os.fork()
    if child == 0:
        _child(tests, log)
    until = time.monotonic() + WALL_SECONDS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() >= until:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return NOTICED, "does not end"
        time.sleep(0.1)
    if os.WIFSIGNALED(status):
        return NOTICED, f"signal {os.WTERMSIG(status)}"
    said = log.read_text(errors="replace")
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.M)
    match os.WEXITSTATUS(status):
        case 0:
            return SURVIVED, ""
        case 1:
            return NOTICED, failed[1] if failed else "?"
        case _:
            return BROKEN, said.strip().splitlines()[-1] if said.strip() else "no output"


def _child(tests: Sequence[str], log: Path) -> None:
    import pytest

    os.setsid()
    with log.open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    os.chdir(_tree)
    os.environ |= {"PYTHONPATH": str(_tree), "PYTHONDONTWRITEBYTECODE": ""}
    sys.dont_write_bytecode = False
    sys.path[:] = [str(_tree), *(p for p in sys.path if p and Path(p).resolve() != ROOT)]
    for name in [n for n in sys.modules if n.split(".")[0] in ("app", "databricks_client", "tests", "benchmarks")]:
        del sys.modules[name]
    status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--sqlite-only", "--tb=line", "-r", "fE", *tests])
    sys.stdout.flush()
    os._exit(int(status))


if __name__ == "__main__":
    sys.exit(main())
