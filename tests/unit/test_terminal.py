"""What is printed: no control character reaches a terminal, UTF-8 whatever the locale, a closed pipe changes nothing."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.output import rows
from app.cli.terminal import Terminal
from databricks_client.terminal import PrintableFormatter, emit, json_text, one_line, printable

ROOT = Path(__file__).resolve().parent.parent.parent

HARMFUL = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ud800\udfff",
]
TITLE = "\x1b]0;owned\x07"
CLIPBOARD = "\x1b]52;c;cm0gLXJm\x1b\\"
CURSOR = "\x9b2J\r"


@pytest.mark.parametrize("character", HARMFUL, ids=ascii)
def test_a_control_character_is_written_as_an_escape(character: str) -> None:
    assert one_line(f"a{character}b") == ("a\tb" if character == "\t" else "a" + ascii(character)[1:-1] + "b")
    if character not in "\t\n":
        assert character not in printable(f"a{character}b")
    text = json_text([f"a{character}b"])
    assert json.loads(text) == [f"a{character}b"] and character not in text


def test_lines_tabs_and_every_script_stay_as_they_are() -> None:
    text = "é ✓ 日本語 עברית नमस्ते 👩‍👩‍👧 \\x1b\tx\r\ny\n"
    assert printable(text) == text


@pytest.mark.parametrize("hostile", [TITLE, CLIPBOARD, CURSOR, "\u202egnirts"])
def test_the_console_displays_what_a_text_holds(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    console = Terminal()
    name = f"[red]x[/red] [link=https://a.b]y[/link] :smile: {hostile}"
    rows(f"Plan {name}", [f"column {name}"], [[f"cell {name}"]])(console)
    console.say(f"Note: {name}\nBlocked by 0 gates.")
    shown = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert not [c for c in shown if c in HARMFUL and c != "\n"]
    for part in ("Plan", "column", "cell", "Note:"):
        assert f"{part} {printable(name)}" in shown
    assert "\\nBlocked by 0 gates." in shown


def test_a_record_of_the_log_is_one_line_and_its_traceback_is_harmless() -> None:
    try:
        raise ValueError(f"in a table {TITLE}")
    except ValueError:
        record = logging.LogRecord(
            "w", 40, "f", 1, "operation %s", (f"{CLIPBOARD}\n2026 INFO w: verified",), sys.exc_info()
        )
    lines = PrintableFormatter("%(levelname)s %(message)s").format(record).splitlines()
    assert lines[0] == f"ERROR operation {one_line(CLIPBOARD)}\\n2026 INFO w: verified"
    assert lines[1].startswith("Traceback") and not [c for line in lines for c in line if c in HARMFUL]


def _python(code: str, *arguments: str, out: int = subprocess.PIPE, **settings: str) -> tuple[int, bytes, bytes]:
    """Status, standard output and standard error of a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        stdout=out,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'unit'}", **settings},
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout or b"", done.stderr


COMPARE = """
import sys
from tests.support.validation_warehouse import DESCRIBED, Scripted, bucket
from validation.__main__ import main
described = [{**d, "col_name": d["col_name"] + "é\\u202e"} if d["col_name"] == "x" else d for d in DESCRIBED]
other = [{**d, "data_type": "int"} if d["col_name"].startswith("x") else d for d in described]
answers = iter([described, other] * 2)
class Sides(Scripted):
    def execute(self, sql, *rest):
        return next(answers) if sql.startswith("DESCRIBE TABLE") else super().execute(sql, *rest)
sys.exit(main(["ä", "b", "--key", "id", *sys.argv[1:]], Sides(WITH=[bucket(na=1, nb=1)])))
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
@pytest.mark.parametrize("form", ["--json", "--html", "--csv", "--quiet"])
def test_a_comparison_keeps_its_status_and_writes_utf_8_in_any_locale(encoding: str, form: str) -> None:
    status, out, err = _python(COMPARE, form, PYTHONIOENCODING=encoding, LC_ALL="C")
    assert (status, err) == (1, b"")
    shown = out.decode("utf-8")
    assert form == "--csv" or "é" in shown
    if form == "--json":
        assert json.loads(shown)["schema_differences"][0]["column"] == "xé\u202e"


def test_a_reader_that_leaves_changes_no_status_and_leaves_no_complaint() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        assert _python(COMPARE, "--json", out=write) == (1, b"", b"")
    finally:
        os.close(write)


def test_the_console_goes_on_without_its_reader() -> None:
    code = "\n".join(
        (
            "import os, sys",
            "from app.cli.terminal import Terminal",
            "read, write = os.pipe(); os.close(read); os.dup2(write, 1)",
            "console = Terminal()",
            "for n in range(3): console.say('x' * 100_000)",
            "print('on', file=sys.stderr)",
        )
    )
    assert _python(code) == (0, b"", b"on\n")


def test_emit_ends_every_text_with_one_line_end(capsys: pytest.CaptureFixture[str]) -> None:
    emit("a")
    emit("b\r\n")
    emit("c\n", error=True)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("a\nb\r\n", "c\n")


PRINTERS = {
    "databricks_client/terminal.py": {"write", "basicConfig", "StreamHandler"},
    "app/cli/terminal.py": {"Console"},
}


def test_all_output_goes_through_the_one_place() -> None:
    """Only these modules write to a standard stream, set up a log or make a console."""
    found = []
    for file in (f for place in ("app", "validation", "emulator", "scripts") for f in (ROOT / place).rglob("*.py")):
        allowed = PRINTERS.get(str(file.relative_to(ROOT)), set())
        for node in (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)):
            text = ast.unparse(node.func)
            called = text.rpartition(".")[2]
            prints = text in ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo", "click.echo")
            if (prints or called in ("basicConfig", "Console", "StreamHandler")) and called not in allowed:
                found.append(f"{file.relative_to(ROOT)}:{node.lineno} {text}")
    assert not found, "\n".join(found)
