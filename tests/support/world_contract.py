"""What every `World` must do, as cases that run over the fake of the unit tests and over a real workspace."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from app.operations import statements
from app.operations.decommission import archived_name
from app.operations.job_access import limited
from app.operations.model import Model
from app.operations.requests import Call, Statement
from app.operations.steps import (
    CreateStandIn,
    CreateView,
    DropBackup,
    DropStandIn,
    DropView,
    FlipView,
    FollowColumns,
    LeaveName,
    LimitAccess,
    PauseSchedule,
    RenameBack,
    RenameJob,
    RenameTable,
    RestoreAccess,
    RestoreGrants,
    RestoreTags,
    RevokeGrants,
    SetParameters,
    Step,
    StepFailed,
    TakeName,
    UnpauseSchedule,
)
from app.operations.world import AccessEntry, Grant, Relation, Seen, World
from databricks_client.errors import WorkspaceError
from databricks_client.quoting import quote_table

COLUMNS = (("a", "bigint"), ("b", "string"))
TAGS = {"domain": "fde", "it's \\ odd": "two words"}
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SERIAL = itertools.count(1)


def do(world: World, step: Step, seen: Seen | None = None) -> list[str]:
    """Sends what a step sends, once; gives the ids of what it started.

    seen: what it is built from, if not the world as it is.
    """
    started = []
    for request in step.requests(seen or world):
        match request:
            case Statement():
                world.execute(request.text)
            case Call():
                found = world.send(request)
                started += [found] if request.answer else []
    return started


def tag_table(name: str, tags: dict[str, str]) -> str:
    """What an administrator runs to set a table's tags."""
    return statements.set_view_tags(name, tags).replace("ALTER VIEW", "ALTER TABLE", 1)


class Ground(Protocol):
    """A place to try a world in: a schema of its own, and one job that has a schedule and the parameter `prefix`."""

    world: World
    schema: str
    group: str
    """A principal that privileges can be given to."""
    job: str
    keeps_tags: bool
    manager: AccessEntry
    """Who may manage the job, beside its owner."""
    another: str
    """The principal of what is done by another."""

    def table(self, name: str, comment: str | None = None, column_comment: str | None = None) -> None:
        """Makes a table with `COLUMNS` and two rows; column_comment: of its first column."""

    def give_away(self, view: str) -> None:
        """Makes another principal the owner of a view."""

    def read_by_another(self, name: str) -> None:
        """Another principal queries a table."""


@dataclass(frozen=True)
class Names:
    """Three-level names that no other case has."""

    x: str
    kept: str
    other: str

    @classmethod
    def fresh(cls, schema: str) -> Names:
        n = next(SERIAL)
        return cls(f"{schema}.x{n}", f"{schema}.x{n}_old", f"{schema}.other{n}")


def plain(found: Relation) -> dict[str, Any]:
    """A relation without its name."""
    return {f: getattr(found, f) for f in found.__dataclass_fields__ if f != "name"}


class WorldContract:
    """Subclasses give a fixture `ground`."""

    @pytest.fixture
    def n(self, ground: Ground) -> Names:
        return Names.fresh(ground.schema)

    def test_what_does_not_exist_is_absent_and_has_nothing(self, ground: Ground, n: Names) -> None:
        catalog = n.x.split(".")[0]
        for name in (n.x, f"{catalog}.no_such_schema.t"):
            assert ground.world.relation(name) == ground.world.inspect(name) == Relation(name, "absent")
            if ground.keeps_tags:
                assert ground.world.tags(name) == ()

    def test_a_table_is_read_with_id_owner_columns_and_grants(self, ground: Ground, n: Names) -> None:
        ground.table(n.x)
        found = ground.world.relation(n.x)
        assert (found.name, found.kind, found.table_type, found.columns) == (n.x, "table", "MANAGED", COLUMNS)
        assert found.table_id and found.owner
        assert (found.over, found.definition, found.pipeline_id, found.grants) == (None, None, None, ())

    def test_only_inspect_reads_comments_and_version(self, ground: Ground, n: Names) -> None:
        ground.table(n.x, "All of it", "Key")
        shallow, deep = ground.world.relation(n.x), ground.world.inspect(n.x)
        assert (deep.comment, deep.column_comments, deep.unknown) == ("All of it", (("a", "Key"),), ())
        assert deep.version is not None
        assert (shallow.comment, shallow.column_comments, shallow.version) == (None, (), None)
        same = {"kind", "table_type", "table_id", "owner", "columns", "grants"}
        assert {k: v for k, v in plain(shallow).items() if k in same} == {
            k: v for k, v in plain(deep).items() if k in same
        }

    def test_grants_are_added_and_taken_and_the_rest_stays(self, ground: Ground, n: Names) -> None:
        ground.table(n.x)
        world, to = ground.world, ground.group
        do(world, RestoreGrants(n.x, (Grant(to, ("MODIFY", "SELECT")),)))
        do(world, RestoreGrants(n.x, (Grant(to, ("SELECT",)),)))
        assert world.relation(n.x).grants == world.inspect(n.x).grants == (Grant(to, ("MODIFY", "SELECT")),)
        do(world, RevokeGrants(n.x, (Grant(to, ("MODIFY",)), Grant("nobody", ("SELECT",)))))
        assert world.relation(n.x).grants == (Grant(to, ("SELECT",)),)
        do(world, RevokeGrants(n.x, (Grant(to, ("SELECT",)),)))
        assert world.relation(n.x).grants == ()

    def test_grants_on_what_does_not_exist_fail(self, ground: Ground, n: Names) -> None:
        grants = (Grant(ground.group, ("SELECT",)),)
        for step, had in ((RestoreGrants(n.x, grants), ()), (RevokeGrants(n.x, grants), grants)):
            with pytest.raises(StepFailed, match="does not exist"):
                do(ground.world, step)
            with pytest.raises(WorkspaceError) as e:
                do(ground.world, step, Model({n.x: Relation(n.x, "table", grants=had)}))
            assert e.value.not_found

    def test_a_renamed_table_is_the_same_table(self, ground: Ground, n: Names) -> None:
        ground.table(n.x, "All of it", "Key")
        world = ground.world
        do(world, RestoreGrants(n.x, (Grant(ground.group, ("SELECT",)),)))
        before, rows = world.inspect(n.x), world.fingerprint(n.x)
        world.execute(statements.rename_table(n.x, n.kept))
        assert world.relation(n.x).kind == "absent"
        assert plain(world.inspect(n.kept)) == plain(before)
        assert world.fingerprint(n.kept) == rows
        world.execute(statements.rename_table(n.kept, n.x))
        assert world.inspect(n.x) == before

    def test_a_table_is_not_renamed_to_a_taken_name_nor_from_a_free_one(self, ground: Ground, n: Names) -> None:
        ground.table(n.x)
        ground.table(n.other)
        before = ground.world.relation(n.x), ground.world.relation(n.other)
        for source, target in ((n.x, n.other), (n.kept, f"{n.kept}_2")):
            with pytest.raises(WorkspaceError):
                ground.world.execute(statements.rename_table(source, target))
        assert (ground.world.relation(n.x), ground.world.relation(n.other)) == before

    def test_a_view_serves_another_name_and_says_so(self, ground: Ground, n: Names) -> None:
        ground.table(n.kept)
        world = ground.world
        world.execute(statements.create_view(n.x, n.kept, "It's AS it was"))
        found = world.relation(n.x)
        assert (found.kind, found.over, found.columns, found.grants) == ("view", n.kept, COLUMNS, ())
        assert found.definition == statements.view_query(n.kept)
        assert found.owner == world.relation(n.kept).owner and found.comment is None
        deep = world.inspect(n.x)
        assert (deep.comment, deep.version, deep.hangers, deep.unknown) == ("It's AS it was", None, (), ())
        assert world.fingerprint(n.x) == world.fingerprint(n.kept)
        assert len(world.query(statements.view_query(n.x) + " LIMIT 1")) == 1

    def test_a_view_takes_no_taken_name_and_nothing_that_is_missing(self, ground: Ground, n: Names) -> None:
        ground.table(n.x)
        before = ground.world.relation(n.x)
        for view, over in ((n.x, n.x), (n.other, n.kept)):
            with pytest.raises(WorkspaceError):
                ground.world.execute(statements.create_view(view, over))
        assert ground.world.relation(n.x) == before and ground.world.relation(n.other).kind == "absent"

    def test_a_flipped_view_keeps_id_owner_comment_and_grants(self, ground: Ground, n: Names) -> None:
        ground.table(n.kept)
        ground.table(n.other)
        world = ground.world
        world.execute(statements.create_view(n.x, n.kept, "said"))
        do(world, RestoreGrants(n.x, (Grant(ground.group, ("SELECT",)),)))
        before = world.inspect(n.x)
        world.execute(statements.alter_view(n.x, n.other))
        after = world.inspect(n.x)
        changed = {k for k, v in plain(after).items() if v != plain(before)[k]}
        assert changed == {"definition", "over"} and after.over == n.other
        with pytest.raises(WorkspaceError):
            world.execute(statements.alter_view(n.x, f"{n.other}_missing"))
        assert world.inspect(n.x) == after

    def test_a_view_follows_the_columns_of_what_it_serves_once_it_was_told_to(self, ground: Ground, n: Names) -> None:
        ground.table(n.kept)
        ground.table(n.other)
        world = ground.world

        def columns() -> list[str]:
            return [name for name, _ in world.relation(n.x).columns]

        world.execute(statements.create_view(n.x, n.kept))
        world.execute(f"ALTER TABLE {quote_table(n.kept)} ADD COLUMN later INT")
        assert columns() == ["a", "b", "later"]
        world.execute(statements.alter_view(n.x, n.other))
        assert columns() == ["a", "b"]
        do(world, FollowColumns(n.x, n.other))
        world.execute(f"ALTER TABLE {quote_table(n.other)} ADD COLUMN other INT")
        assert columns() == ["a", "b", "other"]
        assert world.relation(n.x).over == n.other
        with pytest.raises(WorkspaceError):
            world.execute(statements.follow_columns(n.kept))

    def test_a_table_is_neither_flipped_nor_dropped_as_a_view(self, ground: Ground, n: Names) -> None:
        ground.table(n.x)
        ground.table(n.other)
        before = ground.world.relation(n.x)
        for text in (statements.alter_view(n.x, n.other), statements.drop_view(n.x)):
            with pytest.raises(WorkspaceError):
                ground.world.execute(text)
        assert ground.world.relation(n.x) == before

    def test_a_dropped_view_leaves_the_name_free_and_the_table_alone(self, ground: Ground, n: Names) -> None:
        ground.table(n.kept)
        world = ground.world
        table = world.inspect(n.kept)
        world.execute(statements.create_view(n.x, n.kept))
        world.execute(statements.drop_view(n.x))
        assert world.relation(n.x).kind == "absent" and world.inspect(n.kept) == table

    def test_a_renamed_view_is_the_same_view(self, ground: Ground, n: Names) -> None:
        ground.table(n.kept)
        world = ground.world
        world.execute(statements.create_view(n.other, n.kept, "said"))
        do(world, RestoreGrants(n.other, (Grant(ground.group, ("SELECT",)),)))
        if ground.keeps_tags:
            do(world, RestoreTags(n.other, (("of", "the view"),)))
        before = world.inspect(n.other)
        world.execute(statements.rename_view(n.other, n.x))
        assert world.relation(n.other).kind == "absent"
        assert plain(world.inspect(n.x)) == plain(before) and before.comment == "said"
        if ground.keeps_tags:
            assert world.tags(n.x) == (("of", "the view"),)
        assert world.fingerprint(n.x) == world.fingerprint(n.kept)

    def test_a_view_is_not_renamed_to_a_taken_name_nor_as_a_table_nor_a_table_as_a_view(
        self, ground: Ground, n: Names
    ) -> None:
        ground.table(n.x)
        world = ground.world
        world.execute(statements.create_view(n.other, n.x))
        before = world.relation(n.x), world.relation(n.other)
        for text in (
            statements.rename_view(n.other, n.x),
            statements.rename_table(n.other, n.kept),
            statements.rename_view(n.x, n.kept),
            statements.rename_view(f"{n.x}_missing", n.kept),
        ):
            with pytest.raises(WorkspaceError):
                world.execute(text)
        assert (world.relation(n.x), world.relation(n.other)) == before

    def test_a_view_prepared_beside_a_table_takes_its_name_and_leaves_it(self, ground: Ground, n: Names) -> None:
        """As a cutover and its way back do: the view is tried first, and waits over a name that nothing has."""
        ground.table(n.x, "All of it")
        ground.table(n.other)
        world, spare = ground.world, f"{n.x}__cutover"
        table, rows = world.inspect(n.x), world.fingerprint(n.x)
        grants = (Grant(ground.group, ("SELECT",)),)
        do(world, CreateStandIn(n.kept, n.x))
        do(world, CreateView(spare, n.kept, n.other, table.comment, n.x))
        do(world, RestoreGrants(spare, grants, n.x))
        assert world.fingerprint(spare) == rows and world.relation(spare).columns == COLUMNS
        do(world, DropStandIn(n.kept, n.x))
        waiting = world.relation(spare)
        assert (waiting.kind, waiting.over, waiting.grants) == ("view", n.kept, grants)
        with pytest.raises(WorkspaceError):
            world.query(statements.sample_query(spare))
        do(world, RenameTable(n.x, n.kept))
        do(world, TakeName(spare, n.x, n.kept, n.other))
        served = world.inspect(n.x)
        assert (served.over, served.grants, served.comment) == (n.kept, grants, "All of it")
        assert world.fingerprint(n.x) == rows and plain(world.inspect(n.kept)) == plain(table)
        do(world, FlipView(n.x, n.kept, n.other))
        do(world, FlipView(n.x, n.other, n.kept))
        do(world, LeaveName(n.x, spare, n.kept, n.kept))
        do(world, RenameBack(n.kept, n.x))
        assert world.inspect(n.x) == table and world.fingerprint(n.x) == rows
        do(world, DropView(spare, n.kept))
        assert world.relation(spare).kind == "absent"

    def test_modify_cannot_be_granted_on_a_view(self, ground: Ground, n: Names) -> None:
        ground.table(n.kept)
        ground.world.execute(statements.create_view(n.x, n.kept))
        with pytest.raises(WorkspaceError):
            do(ground.world, RestoreGrants(n.x, (Grant(ground.group, ("MODIFY",)),)))
        assert ground.world.relation(n.x).grants == ()

    def test_tags_are_read_where_they_were_set_and_never_by_relation(self, ground: Ground, n: Names) -> None:
        if not ground.keeps_tags:
            pytest.skip("this workspace keeps no tags")
        ground.table(n.kept)
        world = ground.world
        world.execute(statements.create_view(n.x, n.kept))
        for name, kind in ((n.kept, "TABLE"), (n.x, "VIEW")):
            assert world.tags(name) == ()
            for tags in (TAGS, {"more": ""}):
                if kind == "VIEW":
                    do(world, RestoreTags(name, tuple(tags.items())))
                else:
                    world.execute(tag_table(name, tags))
            assert world.tags(name) == tuple(sorted({**TAGS, "more": ""}.items()))
            assert world.relation(name).tags == ()
        assert world.inspect(n.kept).tags == world.tags(n.kept)
        assert world.inspect(n.x).tags == (), "only of a table, which a cutover replaces"

    def test_tags_go_with_a_renamed_table_and_stay_with_a_flipped_view(self, ground: Ground, n: Names) -> None:
        if not ground.keeps_tags:
            pytest.skip("this workspace keeps no tags")
        ground.table(n.x)
        ground.table(n.other)
        world = ground.world
        world.execute(tag_table(n.x, TAGS))
        world.execute(statements.rename_table(n.x, n.kept))
        assert world.tags(n.kept) == tuple(sorted(TAGS.items()))
        world.execute(statements.create_view(n.x, n.kept))
        assert world.tags(n.x) == ()
        do(world, RestoreTags(n.x, (("of", "the view"),)))
        world.execute(statements.alter_view(n.x, n.other))
        assert world.tags(n.x) == (("of", "the view"),)

    def test_rows_that_cannot_be_counted_are_a_problem_not_an_error(self, ground: Ground, n: Names) -> None:
        ground.table(n.x)
        found = ground.world.written("t", n.x, n.other, ())
        assert found.problem and (found.old_rows, found.new_rows, found.newer) == (None, None, None)

    def test_a_job_is_found_by_name_and_by_id(self, ground: Ground) -> None:
        found = ground.world.job(ground.job)
        assert found.name == ground.job and found.paused is not None and found.block == "schedule"
        assert ground.world.job("another name", found.job_id) == found
        for name, job_id in (("no such job", None), (ground.job, 999_999_999_999)):
            with pytest.raises(WorkspaceError) as e:
                ground.world.job(name, job_id)
            assert e.value.not_found

    def test_pausing_changes_nothing_else_of_a_job(self, ground: Ground) -> None:
        before = ground.world.job(ground.job)
        for paused in (True, True, False):
            do(ground.world, (PauseSchedule if paused else UnpauseSchedule)(before.job_id, before.name))
            now = ground.world.job(ground.job)
            assert now.paused is paused
            assert (now.settings, now.parameters, now.block) == (before.settings, before.parameters, before.block)

    def test_a_parameter_that_a_job_lacks_is_refused_and_others_keep_their_values(self, ground: Ground) -> None:
        before = ground.world.job(ground.job)
        assert len(before.parameters) > 1
        do(ground.world, SetParameters(before.job_id, before.name, (("prefix", "other"),)))
        assert dict(ground.world.job(ground.job).parameters) == {**dict(before.parameters), "prefix": "other"}
        with pytest.raises(StepFailed, match="no parameter lacking"):
            do(ground.world, SetParameters(before.job_id, before.name, (("lacking", "x"),)))
        do(ground.world, SetParameters(before.job_id, before.name, before.parameters))
        assert ground.world.job(ground.job) == before

    def test_a_job_is_archived_and_gets_everything_back(self, ground: Ground) -> None:
        world, before = ground.world, ground.world.job(ground.job)
        access = world.job_access(before.job_id)
        assert ground.manager in access.entries
        archived = archived_name(before.name)
        rename = RenameJob(before.job_id, before.name, archived)
        limit = LimitAccess(before.job_id, archived, access.entries)
        for step in (rename, limit):
            assert not step.is_done(world)
            do(world, step)
            assert step.is_done(world)
        assert world.job(archived) == world.job(before.name, before.job_id) == replace(before, name=archived)
        with pytest.raises(WorkspaceError) as e:
            world.job(before.name)
        assert e.value.not_found
        now = world.job_access(before.job_id)
        assert now.entries == limited(access) and (now.me, now.admin) == (access.me, access.admin)
        assert {entry[2] for entry in now.entries if entry[:2] == ground.manager[:2]} == {"CAN_VIEW"}
        assert [e for e in now.entries if e[2] == "IS_OWNER"] == [e for e in access.entries if e[2] == "IS_OWNER"]
        back = (
            RestoreAccess(before.job_id, archived, access.entries),
            RenameJob(before.job_id, archived, before.name),
        )
        for step in back:
            assert not step.is_done(world)
            do(world, step)
            assert step.is_done(world)
        assert world.job(before.name) == before and world.job_access(before.job_id) == access

    def test_an_old_table_is_dropped_by_name_and_id_and_never_one_that_is_served(
        self, ground: Ground, n: Names
    ) -> None:
        ground.table(n.kept)
        ground.table(n.other)
        world, kept = ground.world, ground.world.relation(n.kept)
        world.execute(statements.create_view(n.x, n.other))
        drop = DropBackup(n.kept, kept.table_id or "", n.x, n.other)
        other = replace(drop, table_id="another")
        for wrong, why in ((other, "is not the old table"), (replace(drop, name=n.x), "is not the old table")):
            for look in (wrong.is_done, wrong.requests):
                with pytest.raises(StepFailed, match=why):
                    look(world)
        world.execute(statements.alter_view(n.x, n.kept))
        with pytest.raises(StepFailed, match="does not serve the new side"):
            do(world, drop)
        world.execute(statements.alter_view(n.x, n.other))
        with pytest.raises(WorkspaceError):
            world.execute(statements.drop_table(n.x))
        assert not drop.is_done(world)
        do(world, drop)
        assert drop.is_done(world) and world.relation(n.kept).kind == "absent"
        assert world.relation(n.x).over == n.other and len(world.query(statements.sample_query(n.x))) == 1
        with pytest.raises(WorkspaceError):
            world.execute(statements.drop_table(n.kept))

    def test_views_that_name_a_table_are_found_and_those_of_others_may(self, ground: Ground, n: Names) -> None:
        ground.table(n.kept)
        ground.table(n.other)
        world, theirs = ground.world, f"{n.x}_theirs"
        assert n.x not in (*world.views_naming(n.kept).naming, *world.views_naming(n.kept).hidden)
        world.execute(statements.create_view(n.x, n.kept))
        world.execute(statements.create_view(theirs, n.kept))
        found = world.views_naming(n.kept)
        assert set(found.naming) == {n.x, theirs} and not {n.x, theirs} & set(found.hidden)
        ground.give_away(theirs)
        assert world.relation(theirs).owner == ground.another
        found = world.views_naming(n.kept)
        assert found.naming == (n.x,) and theirs in found.hidden
        assert theirs in world.views_naming(n.other).hidden, "whatever it reads: its definition is not shown"
        world.execute(statements.alter_view(n.x, n.other))
        assert world.views_naming(n.kept).naming == () and world.views_naming(n.other).naming == (n.x,)

    def test_what_others_read_is_told_and_what_oneself_read_is_not(self, ground: Ground, n: Names) -> None:
        ground.table(n.x)
        ground.table(n.other)
        world = ground.world
        world.query(statements.sample_query(n.x))
        assert world.readers(n.x, LONG_AGO) == []
        ground.read_by_another(n.x)
        (told,) = world.readers(n.x, LONG_AGO)
        assert ground.another in told
        assert world.readers(n.other, LONG_AGO) == []
        assert world.readers(n.x, datetime.now(UTC) + timedelta(days=2)) == []

    def test_a_pipeline_of_another_name_is_not_found(self, ground: Ground) -> None:
        with pytest.raises(WorkspaceError) as e:
            ground.world.pipeline("no such pipeline")
        assert e.value.not_found
