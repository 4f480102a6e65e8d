"""Commands by hand: from wherever a cutover stopped, they lead all tables to one side, run on the model world."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from app.operations.by_hand import Way, as_detail, text_of
from app.operations.requests import Call
from app.store.operations import State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import (
    NEW,
    NEW_JOB,
    OLD,
    OLD_JOB,
    Crash,
    Faults,
    Given,
    Relation,
)

GRANT = re.compile(r"(GRANT|REVOKE) (.+) ON TABLE (\S+) (?:TO|FROM) `([^`]+)`;")


def run(given: Given, way: Way) -> None:
    """Runs commands as a person would: SQL on the warehouse, job commands by the command line."""
    for command in way.commands:
        if found := GRANT.fullmatch(command):
            change = {"principal": found[4], "add" if found[1] == "GRANT" else "remove": [found[2].replace(" ", "_")]}
            name = found[3].replace("`", "")
            path = f"/api/2.1/unity-catalog/permissions/table/{name}"
            given.world.send(Call("by hand", "PATCH", path, {"changes": [change]}))
        elif command.startswith("databricks "):
            program, api, method, path, option, body = shlex.split(command)
            assert (program, api, option) == ("databricks", "api", "--json")
            given.world.send(Call("by hand", method.upper(), path, json.loads(body)))  # type: ignore[arg-type]
        else:
            assert command.endswith(";")
            given.world.execute(command.removesuffix(";"))


def points() -> list[str]:
    """Every effect of a whole cutover, by name."""
    given = Given()
    given.cut_over()
    return given.world.log


def stopped_after(number: int) -> Given:
    """A cutover whose process died after so many effects."""
    given = Given()
    operation = given.approved()
    effects: list[str] = []

    def count(name: str) -> None:
        effects.append(name)
        if len(effects) == number:
            raise Crash(name)

    given.world.watch(count, landed=True)
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.world.undisturbed()
    given.world.faults = Faults()
    return given


NUMBERS = sorted({*range(1, len(points()), 4), len(points()) - 1})


@pytest.mark.parametrize("number", NUMBERS)
def test_from_any_point_the_commands_lead_back(number: int) -> None:
    given = stopped_after(number)
    found = given.service.by_hand()
    assert found.back.problems == ()
    run(given, found.back)
    assert given.world.served() == OLD
    assert given.world.jobs[OLD_JOB].paused is False and given.world.jobs[NEW_JOB].paused is True
    assert given.world.as_at_start()
    after = given.service.by_hand()
    assert after.back.commands == () and {t.serves for t in after.tables} == {"baseline"}


@pytest.mark.parametrize("number", NUMBERS)
def test_from_any_point_the_commands_lead_forward(number: int) -> None:
    given = stopped_after(number)
    found = given.service.by_hand()
    assert found.forward.problems == ()
    run(given, found.forward)
    assert given.world.served() == NEW
    assert given.world.jobs[OLD_JOB].paused is True and given.world.jobs[NEW_JOB].paused is False
    assert given.service.by_hand().forward.commands == ()


def test_a_table_in_a_place_of_no_cutover_has_no_command_and_the_others_have(given: Given) -> None:
    given.cut_over()
    other = Relation("product.fde.dim_fde", "table", "MANAGED", table_id="made by someone")
    given.world.names[other.name] = other
    given.world.rows[other.name] = "someone's rows"
    found = given.service.by_hand()
    (problem,) = found.back.problems
    assert problem.startswith("dim_fde: ") and "someone made one of them" in problem
    assert not any("`dim_fde`" in c for c in found.back.commands)
    run(given, found.back)
    assert {t: s for t, s in given.world.served().items() if t != "dim_fde"} == {
        t: s for t, s in OLD.items() if t != "dim_fde"
    }


def test_an_operation_that_needs_a_person_keeps_the_commands_of_its_end(given: Given) -> None:
    operation = given.approved()
    denied = WorkspaceError("rename", "no", status=403, sql_state="42501")
    given.world.fail("ALTER VIEW `product`.`fde`.`roi_fraud_reduction`", denied)
    given.world.fail("_old` RENAME TO", denied)
    ended = given.service.apply(operation, "worker")
    assert ended.state is State.NEEDS_HUMAN and "cutover by-hand" in ended.reason
    (record,) = given.store.audit.records(subject=operation, action="end")
    kept = record.detail["by_hand"]
    now = json.loads(json.dumps(as_detail(given.service.by_hand())))
    assert {**kept, "as_of": ""} == {**now, "as_of": ""} and kept["back"]["commands"]
    given.world.undisturbed()
    run(given, given.service.by_hand().back)
    assert given.world.served() == OLD and given.world.as_at_start()


def test_without_a_stored_cutover_nothing_leads_forward(given: Given) -> None:
    found = given.service.by_hand()
    assert found.back.commands == () and found.forward.commands == ()
    assert "no cutover of it is stored here" in found.forward.problems[0]


def test_the_text_says_what_is_where_and_quotes_every_name(given: Given) -> None:
    given.cut_over()
    text = text_of(json.loads(json.dumps(as_detail(given.service.by_hand()))))
    assert "-- dim_fde serves candidate: product.fde.dim_fde is a view over product.fde.dlt_v2_dim_fde" in text
    assert "-- Back to the old side" in text and "-- Forward to the new side\n-- nothing to do" in text
    assert "`product`.`fde`.`dim_fde_old`" in text
