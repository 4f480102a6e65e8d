"""The fake workspace of the operations' tests does what a real one does (tests/contract has the same cases)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.operations import compared
from app.operations.world import Relation
from tests.support.operations_world import NEW_JOB, FakeWorld
from tests.support.world_contract import COLUMNS, Ground, WorldContract


class FakeGround:
    """The fake with a schema that no migration uses."""

    schema = "lab.s"
    group = "data-consumers"
    keeps_tags = True
    manager = ("group_name", "engineers", "CAN_MANAGE")
    another = "ann@example.com"

    def __init__(self) -> None:
        self.world = FakeWorld()
        job = self.world.jobs[NEW_JOB]
        self.job = job.name
        self.world.jobs[NEW_JOB] = replace(job, parameters=(("prefix", "p_"), ("other", "o")))

    def table(self, name: str, comment: str | None = None, column_comment: str | None = None) -> None:
        self.world.names[name] = Relation(
            name, "table", "MANAGED", table_id=f"id-{name}", owner=self.world.me, columns=COLUMNS, comment=comment,
            version=compared.delta(1, self.world.clock()),
            column_comments=(("a", column_comment),) if column_comment else (),
        )  # fmt: skip
        self.world.rows[name] = "two rows"

    def give_away(self, view: str) -> None:
        self.world.names[view] = replace(self.world.names[view], owner=self.another)

    def read_by_another(self, name: str) -> None:
        self.world.reads[name] = [(f"DBSQL_QUERY 17 of {self.another}", self.world.clock())]


class TestFakeWorld(WorldContract):
    """The cases over the fake."""

    @pytest.fixture
    def ground(self) -> Ground:
        return FakeGround()
