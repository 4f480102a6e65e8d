"""`python -m validation`: exit statuses, and one line for what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from validation_warehouse import DESCRIBED, Scripted, bucket

from validation.__main__ import main


def test_the_command_says_identical_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    assert main(["a", "b", "--key", "id", "--json"], warehouse) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "identical"


def test_the_command_says_different_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    other = [*DESCRIBED]
    other[1] = {**other[1], "data_type": "int"}
    warehouse = Scripted(DESCRIBE_TABLE_EXTENDED_=DESCRIBED, WITH=[bucket(na=1, nb=1)])
    answers = iter([DESCRIBED, other] * 2)
    real = warehouse.execute
    warehouse.execute = lambda sql, *rest: next(answers) if sql.startswith("DESCRIBE") else real(sql, *rest)  # type: ignore[method-assign]
    assert main(["a", "b", "--key", "id"], warehouse) == 1
    assert capsys.readouterr().out.startswith("DIFFERENT")


def test_the_command_says_not_proven_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "b", "--json"], Scripted()) == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "not_proven"


@pytest.mark.parametrize(
    "arguments",
    [
        ["a"],
        ["a", "b", "--nope"],
        ["a", "b", "--key", "id", "--key", "id"],
        ["a", "b", "--map", "x"],
        ["a", "b", "--decide", "colour"],
        ["a", "b", "--where", "1=1; x"],
        ["a", "b", "--absolute", "0.1"],
        ["a", "b", "--key", "id", "--tolerate", "x"],
        ["a", "b", "--key", "id", "--exclude", "nope"],
        ["a.b.c.d", "b"],
        ["a", "b", "--key", "nope"],
        ["a", "b", "--json", "--csv"],
    ],
)
def test_wrong_use_is_2_with_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(arguments, Scripted(DESCRIBE_TABLE=DESCRIBED))
    except SystemExit as e:
        status = int(str(e.code))
    shown = capsys.readouterr()
    assert status == 2 and shown.out == ""
    assert shown.err.startswith("python -m validation: ") and shown.err.count("\n") == 1


@pytest.mark.parametrize("sensitive", [False, True])
def test_what_nobody_foresaw_is_3_with_one_line(sensitive: bool, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=RuntimeError("two\nlines of 555-0101"))
    arguments = ["a", "b", "--key", "id", *(["--sensitive", "x"] if sensitive else [])]
    assert main(arguments, warehouse) == 3
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.splitlines()) == 1 and "RuntimeError" in shown.err
    assert ("555-0101" in shown.err) is not sensitive


def test_no_workspace_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    assert main(["a", "b"]) == 2
    assert "make run" in capsys.readouterr().err
