"""Delta's five jars: fetched once by Spark's own resolution, checked by hash, then used without a network."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"

# SHA-256 of each jar that Delta needs at run time; the rest of its declared dependencies Spark ships itself.
JARS = {
    "delta-spark_4.2_2.13-4.4.0.jar": "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    "delta-storage-4.4.0.jar": "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
    "delta-kernel-api-4.4.0.jar": "ee9b5a14ac3b7efdff4d61a58478fe8eb0e5a3fbca43889dca7290795fe79a11",
    "delta-kernel-defaults-4.4.0.jar": "225c975199e4718b38ee5b7e6da7f19e9585024262b2cec2656b32151a856b0b",
    "delta-kernel-unitycatalog-4.4.0.jar": "cea22dfb4ac562b3cd27bf652697750e8336009d73fb06631363aaaad5345ffa",
}
_EXCLUDED = "com.*:*,org.*:*,javax.*:*,commons-*:*,io.unitycatalog:*,io.airlift:*"


class JarsError(Exception):
    """The jars are not there and could not be fetched; the text is one line with the way out."""


def spark_home() -> Path:
    """The folder of the installed pyspark, which is a whole Spark."""
    import pyspark

    return Path(pyspark.__file__).parent


def ensure_jars(folder: Path, timeout: float = 300.0) -> list[Path]:
    """The verified jars in `folder`, fetched when one is missing or damaged.

    A folder named by `CUTOVER_JARS` is looked into first (an air-gapped machine). timeout: seconds for the download.
    Raises JarsError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in JARS if not _intact(folder / name)]
    prepared = os.environ.get("CUTOVER_JARS")
    if missing and prepared:
        for name in missing:
            if _intact(Path(prepared) / name):
                _place(Path(prepared) / name, folder / name)
        missing = [name for name in JARS if not _intact(folder / name)]
    if missing:
        _download(folder, timeout)
    return [folder / name for name in JARS]


def _intact(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == JARS[path.name]
    except FileNotFoundError:
        return False


def _place(source: Path, target: Path) -> None:
    """Copy so that `target` is whole or absent, whatever is killed."""
    part = target.with_suffix(f".part{os.getpid()}")
    shutil.copyfile(source, part)
    part.replace(target)


def _download(folder: Path, timeout: float) -> None:
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as work:
        nothing = Path(work) / "nothing.py"
        nothing.write_text("")
        command = [
            str(spark_home() / "bin" / "spark-submit"),
            "--master",
            "local[1]",
            "--conf",
            f"spark.jars.ivy={work}/ivy",
            "--exclude-packages",
            _EXCLUDED,
            "--packages",
            DELTA,
            str(nothing),
        ]
        environment = {**os.environ, "SPARK_HOME": str(spark_home()), "PYSPARK_PYTHON": sys.executable}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout, env=environment, check=False, cwd=work
            )
        except subprocess.TimeoutExpired as e:
            raise JarsError(
                f"fetching {DELTA} took longer than {timeout:.0f} s: check the network and start again"
            ) from e
        fetched = Path(work) / "ivy" / "jars"
        for name in JARS:
            found = fetched / f"io.delta_{name}"
            if not found.exists():
                output = done.stdout + done.stderr
                hint = next(
                    (line.strip() for line in output.splitlines() if "not found" in line or "Exception" in line), ""
                )
                raise JarsError(
                    f"cannot fetch {name} ({DELTA}): no network or no package repository reachable; "
                    f"connect once, or name a folder that holds it in CUTOVER_JARS{': ' + hint[:160] if hint else ''}"
                )
            _place(found, folder / name)
            if not _intact(folder / name):
                (folder / name).unlink()
                raise JarsError(f"{name} arrived with another checksum than expected: not used; start again")
