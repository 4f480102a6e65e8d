"""What is printed: no control character reaches a terminal, and all output has one place."""

from __future__ import annotations

import ast
import io
import json
import logging
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
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called not in ("print", "write", "echo", "basicConfig", "Console", "StreamHandler"):
                continue
            text = ast.unparse(node.func)
            prints = text in ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo", "click.echo")
            if (prints or called in ("basicConfig", "Console", "StreamHandler")) and called not in allowed:
                found.append(f"{file.relative_to(ROOT)}:{node.lineno} {text}")
    assert not found, "\n".join(found)
