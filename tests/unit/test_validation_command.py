"""`python -m validation`: exit statuses, and one line for what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.validation_warehouse import DESCRIBED, Scripted, bucket
from validation import SpecError
from validation.__main__ import main, parser, spec_of


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
        ["a", "b", "--html", "--csv"],
        ["a", "b", "--jso"],
        ["a", "\udc80"],
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_use_is_2_with_one_line(arguments: list[str], as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    status = main([*arguments, *(["--json"] if as_json else [])], Scripted(DESCRIBE_TABLE=DESCRIBED))
    shown = capsys.readouterr()
    assert status == 2 and (json.loads(shown.out).keys() == {"error"} if as_json else shown.out == "")
    assert shown.err.startswith("python -m validation: ") and shown.err.count("\n") == 1


@pytest.mark.parametrize("sensitive", [False, True])
def test_what_nobody_foresaw_is_3_with_one_line(sensitive: bool, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=RuntimeError("two\nlines of 555-0101"))
    arguments = ["a", "b", "--key", "id", *(["--sensitive", "x"] if sensitive else [])]
    assert main(arguments, warehouse) == 3
    shown = capsys.readouterr()
    assert shown.out == "" and len(shown.err.splitlines()) == 1 and "RuntimeError" in shown.err
    assert ("555-0101" in shown.err) is not sensitive
    assert main([*arguments, "--json"], warehouse) == 3
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert shown.err == f"python -m validation: {found['error']}\n" and found["verdict"] == "not_proven"
    assert ("555-0101" in shown.out) is not sensitive


def test_what_is_missing_of_the_workspace_is_an_error_in_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    for name in ("DATABRICKS_TOKEN", "DATABRICKS_WAREHOUSE_ID", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    assert main(["a", "b", "--json"]) == 2
    assert "make run" in json.loads(capsys.readouterr().out)["error"]
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:1")
    assert main(["a", "b", "--json"]) == 2
    assert "DATABRICKS_WAREHOUSE_ID" in json.loads(capsys.readouterr().out)["error"]
    monkeypatch.setenv("DATABRICKS_WAREHOUSE_ID", "w")
    assert main(["a", "b", "--json"]) != 0
    assert "error" in json.loads(capsys.readouterr().out)


def test_no_workspace_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    assert main(["a", "b"]) == 2
    assert "make run" in capsys.readouterr().err


def test_a_mapped_name_may_hold_an_equals_sign_in_backticks() -> None:
    def mapping(*pairs: str) -> dict[str, str]:
        options = [option for pair in pairs for option in ("--map", pair)]
        return dict(spec_of(parser().parse_args(["a", "b", *options])).column_mapping)

    assert mapping("a=b", "`c=d`=`e``=f`", "`=g` x", "`h`=i") == {"a": "b", "c=d": "e`=f", "`": "g` x", "h": "i"}
    for wrong in (("a=b=c",), ("=a",), ("a=",), ("a",), ("a=b", "a=c"), ("a=b", "A=c")):
        with pytest.raises(SpecError):
            mapping(*wrong)


def test_an_empty_comparison_is_allowed_by_an_option_and_told_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    warehouse = Scripted(DESCRIBE_TABLE=DESCRIBED, WITH=[])
    assert main(["a", "b", "--where", "id > 9"], warehouse) == 3
    assert capsys.readouterr().out.startswith("NOT PROVEN: no row of either side satisfies the filter")
    for options in ([], ["--where", "id > 9", "--allow-empty"]):
        for form in ([], ["--json"], ["--html"]):
            assert main(["a", "b", *options, *form], warehouse) == 0
            told = capsys.readouterr().out
            assert "both sides are empty (0 rows)" in told and ("under this filter" in told) is bool(options)
