"""A migration file is read strictly: what YAML would replace, expand or coerce in silence is refused with its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from app import worker
from app.cli.main import main
from app.config.base import ConfigError
from app.config.migration import DEFAULT_MIGRATION, Migration

BASE = DEFAULT_MIGRATION.read_text()


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


REFUSED: Sequence[tuple[str, str, str]] = [
    ("a key given twice", BASE + "gates: []\n", f":{len(BASE.splitlines()) + 1}: 'gates' is given again; it was on"),
    ("a key given twice within an entry", "title: x\ngates:\n- key: a\n  title: b\n  key: c\n", ":5: 'key'"),
    ("an entry given twice", "extends: base.yaml\ngates:\n- {key: parity}\n- {key: parity}\n", ":4: 'parity' is given"),
    ("an escaped NUL", 'extends: base.yaml\ntitle: "a\\0b"\n', ":2: holds the control character U+0000"),
    ("an escaped lone surrogate", 'extends: base.yaml\ntitle: "a\\ud800b"\n', ":2: holds the control character U+D800"),
    ("an escaped terminal sequence", 'extends: base.yaml\ntitle: "\\e[2J"\n', ":2: holds the control character U+001B"),
    ("an escape in a key", 'extends: base.yaml\n"ti\\0tle": x\n', ":2: holds the control character U+0000"),
    ("a raw control character", "extends: base.yaml\ntitle: a\x07b\n", ":2: holds the control character U+0007"),
    ("a raw carriage return", "extends: base.yaml\ntitle: a\rb\n", ":2: holds the control character U+000D"),
    ("an anchor that holds itself", "title: &a [*a]\n", ":1: holds itself through an alias"),
    ("a mapping that holds itself", "title: t\ntables: &a\n  x: {y: *a}\n", "holds itself through an alias"),
    ("aliases that multiply", bomb(9), "values once its aliases are written out"),
    ("nesting that ends no parser", "title: " + "[" * 30_000 + "\n", "nested"),
    ("nesting that a parser bears", "title: " + "[" * 60 + "]" * 60 + "\n", ":1: is nested more than 40 levels deep"),
    ("a file that extends itself", "extends: m.yaml\n", ":1: extends m.yaml, which in the end extends this file"),
    ("a cycle of files", "extends: other.yaml\n", "other.yaml:2: extends m.yaml, which in the end extends this file"),
    ("a base that is missing", "extends: nowhere.yaml\n", ":1: extends nowhere.yaml, which is not a file"),
    ("a base that is a folder", "extends: .\n", ":1: extends ., which is not a file"),
    ("a base that is no text", "extends: [base.yaml]\n", ":1: extends must be the path of a file"),
    ("text for a number", 'extends: base.yaml\ntables:\n- name: dim_fde\n  row_threshold: "5"\n', ":4: tables.0.row_thr"),
    ("a word for a number", "extends: base.yaml\ntables:\n- {name: dim_fde, row_threshold: true}\n", ":3: tables.0.row"),
    ("a number for a text", "extends: base.yaml\ntitle: 5\n", ":2: title: "),
    ("a list for a text", "extends: base.yaml\ntitle: [a]\n", ":2: title: "),
    ("a text for a list", "extends: base.yaml\n\ntables: none\n", ":3: tables: "),
    ("no number", "extends: base.yaml\ngates:\n- {key: parity, max_age_hours: .nan}\n", ":3: gates."),
    ("an endless number", "extends: base.yaml\ngates:\n- {key: parity, max_age_hours: .inf}\n", ":3: gates."),
    ("a number beyond time", "extends: base.yaml\ngates:\n- {key: parity, max_age_hours: 1e300}\n", ":3: gates."),
    ("a number beyond digits", f"extends: base.yaml\ntables:\n- {{name: dim_fde, row_threshold: {'9' * 5000}}}\n", ":3: "),
    ("days beyond time", "extends: base.yaml\nmetrics:\n- {key: m_runtime, evidence: {kind: kept_tables_gone, "
     "params: {days: 99999999999}}}\n", ":3: metrics"),
    ("a date", "extends: base.yaml\ntitle: 2024-01-01\n", ":2: timestamp is no kind of value"),
    ("a date that is none", "extends: base.yaml\ntitle: 2024-13-45\n", ":2: timestamp is no kind of value"),
    ("a foreign tag", "extends: base.yaml\ntitle: !!python/object:os.system {}\n", ":2: "),
    ("a tag that does not fit", "extends: base.yaml\ntitle: !!int x\n", ":2: 'x' is no int"),
    ("a character beyond Unicode", 'title: "\\U00110000"\n', "m.yaml: no YAML"),
    ("a key that is no text", "extends: base.yaml\nyes: 1\n", ":2: yes is no text and names nothing"),
    ("a key that is a list", "? [a]\n: 1\n", ":1: this is no text and names nothing"),
    ("two documents", "title: a\n---\ntitle: b\n", ":2: "),
    ("nothing", "", "m.yaml: holds no mapping"),
    ("a list", "- a\n", "m.yaml: holds no mapping"),
    ("a field that is unknown", "extends: base.yaml\n\nnonsense: 1\n", ":3: nonsense: "),
    ("a file too long", "# " + "x" * 1_000_001, "is longer than 1,000,000 bytes"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "other.yaml").write_text("title: other\nextends: m.yaml\n")
    return tmp_path


@pytest.mark.parametrize(("text", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_yaml_takes_in_silence_is_refused_with_its_line(folder: Path, text: str, words: str) -> None:
    file = folder / "m.yaml"
    file.write_text(text, newline="")
    with pytest.raises(ConfigError) as e:
        Migration.load(file)
    assert words in str(e.value)
    assert str(e.value).startswith(str(folder)) and "\n" not in str(e.value) and str(e.value).isprintable()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfea", "m.yaml:1: is not UTF-8"), (b"a: b\nc: \xed\xa0\x80\n", "m.yaml:2: is not UTF-8")],
)
def test_bytes_that_are_no_text_are_refused(folder: Path, content: bytes, words: str) -> None:
    (folder / "m.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        Migration.load(folder / "m.yaml")


def test_a_mistake_in_the_extended_file_names_that_file(folder: Path) -> None:
    (folder / "base.yaml").write_text(BASE.replace("timezone: ", "timezone: Mars/"))
    (folder / "m.yaml").write_text("extends: base.yaml\n")
    line = next(n for n, text in enumerate(BASE.splitlines(), 1) if text.startswith("timezone:"))
    with pytest.raises(ConfigError, match=rf"base\.yaml:{line}: timezone: "):
        Migration.load(folder / "m.yaml")


def test_anchors_merges_and_blocks_of_several_lines_are_read_as_yaml_means_them(folder: Path) -> None:
    (folder / "m.yaml").write_text(
        "extends: base.yaml\ntables:\n- &t\n  name: dim_fde\n  row_threshold: 3\n  where: |\n    a = 1\n    AND b = 2\n"
        "- {<<: *t, name: iv_fde_ax}\n"
    )
    tables = {t.name: t for t in Migration.load(folder / "m.yaml").tables}
    assert tables["iv_fde_ax"].row_threshold == 3
    assert tables["dim_fde"].where == tables["iv_fde_ax"].where == "a = 1\nAND b = 2\n"


@pytest.fixture
def wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = folder / "m.yaml"
    file.write_text("extends: base.yaml\ntitle: a\ntitle: b\n")
    for name in ("DATABRICKS_HOST", "DATABRICKS_APP_NAME", "CUTOVER_IDENTITY", "CUTOVER_STORE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUTOVER_DATA", str(folder))
    monkeypatch.setenv("CUTOVER_MIGRATION", str(file))
    return file


def test_the_command_line_says_it_in_one_line_and_exits_with_2(wrong: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 2
    told = capfd.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and f"{wrong}:3: 'title' is given again" in told.err


def test_the_worker_says_it_in_one_line_and_exits_with_2(wrong: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert worker.main() == 2
    (record,) = [r for r in caplog.records if r.name == "cutover.worker"]
    assert f"{wrong}:3: 'title' is given again" in record.getMessage() and record.exc_info is None
    assert not (wrong.parent / "cutover.db").exists()
