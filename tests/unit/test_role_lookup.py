"""Roles come from the first source that answers, and nothing that one user's token obtains reaches another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.access import Refused, RolesFound, RoleSource, RolesUnknown, RolesUnseen, SignedIn, require
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.config.roles import NamedUsers, Roles
from app.config.settings import IdentitySource, Settings
from app.context import Context
from app.store.open import Store
from tests.support.workspace_server import Refusal, Request, Server

SCIM = "/api/2.0/preview/scim/v2"
GROUPS = Roles(viewer=("readers",), operator=("operators",), approver=("approvers",))
ADA, BOB = "ada@example.com", "bob@example.com"
FILE = GROUPS.model_copy(update={"users": NamedUsers(operator=(ADA,), approver=("Lars@example.com",))})
MIGRATION = Migration.load(DEFAULT_MIGRATION)
SETTINGS = Settings.from_environment().model_copy(update={"identity": IdentitySource.PROXY})


def person(name: str, *groups: str, plain: bool = False) -> dict[str, Any]:
    """A user as SCIM has it; plain: as a caller who is no administrator gets it."""
    found: dict[str, Any] = {"id": name[:3], "userName": name, "displayName": name}
    return found if plain else found | {"active": True, "groups": [{"display": g} for g in groups]}


def listed(*found: Any) -> dict[str, Any]:
    return {"totalResults": len(found), "Resources": list(found)}


@pytest.fixture
def plain(server: Server) -> Server:
    """A workspace whose app principal is no administrator."""

    def users(request: Request) -> Any:
        return listed(person((request.one("filter") or "").split('"')[1], plain=True))

    server.on("GET", f"{SCIM}/Users", users)
    server.on("GET", f"{SCIM}/Groups", listed(*({"id": g, "displayName": g} for g in ("operators", "approvers"))))
    return server


def told(server: Server, tokens: dict[str, dict[str, Any]]) -> None:
    """What /Me tells the bearer of each token; any other token has expired."""

    def me(request: Request) -> Any:
        if request.token not in tokens:
            raise Refusal(401, "UNAUTHENTICATED", "token is expired")
        return tokens[request.token]

    server.on("GET", f"{SCIM}/Me", me)


def context(store: Store, server: Server, roles: Roles, signed_in: SignedIn | None = None, **parts: Any) -> Context:
    migration = MIGRATION.model_copy(update={"roles": roles})
    parts = {"settings": SETTINGS, **parts}
    return Context(store=store, migration=migration, workspace=server.workspace(), signed_in=signed_in, **parts)


def test_a_user_whose_groups_nobody_tells_has_unknown_roles_and_not_none(store: Store, plain: Server) -> None:
    with pytest.raises(RolesUnseen, match="no token of the user is forwarded; the app may not read who is in which"):
        context(store, plain, GROUPS, SignedIn(ADA, None)).roles_of(ADA)


def test_the_users_own_groups_answer_first(store: Store, plain: Server) -> None:
    told(plain, {"of-ada": person("Ada@Example.com", "operators")})
    found = context(store, plain, FILE, SignedIn(ADA, "of-ada")).roles_of(ADA)
    assert found == RolesFound(frozenset({Role.OPERATOR}), RoleSource.OWN_GROUPS)


def test_an_answer_about_oneself_without_groups_says_nothing(store: Store, plain: Server) -> None:
    told(plain, {"of-ada": person(ADA, plain=True)})
    with pytest.raises(RolesUnseen, match="does not list the user's own groups"):
        context(store, plain, GROUPS, SignedIn(ADA, "of-ada")).roles_of(ADA)
    found = context(store, plain, FILE, SignedIn(ADA, "of-ada")).roles_of(ADA)
    assert found == RolesFound(frozenset({Role.OPERATOR}), RoleSource.MIGRATION_FILE)


def test_own_groups_without_a_role_are_an_answer(store: Store, plain: Server) -> None:
    told(plain, {"of-ada": person(ADA, "others")})
    found = context(store, plain, FILE, SignedIn(ADA, "of-ada")).roles_of(ADA)
    assert found == RolesFound(frozenset(), RoleSource.OWN_GROUPS), "the file names her, and is not read"


def test_a_token_that_has_expired_lets_the_next_source_answer(store: Store, plain: Server) -> None:
    told(plain, {})
    found = context(store, plain, FILE, SignedIn(ADA, "of-ada")).roles_of(ADA)
    assert found.source is RoleSource.MIGRATION_FILE
    with pytest.raises(RolesUnseen, match="expired or may not read the user: reload the page"):
        context(store, plain, GROUPS, SignedIn(ADA, "of-ada")).roles_of(ADA)


def test_the_token_of_another_user_gives_nobody_a_role(store: Store, plain: Server) -> None:
    told(plain, {"of-bob": person(BOB, "approvers")})
    with pytest.raises(Refused, match=f"the forwarded token is not that of {ADA}"):
        context(store, plain, FILE, SignedIn(ADA, "of-bob")).roles_of(ADA)


def test_a_signed_in_users_token_is_not_used_to_look_another_user_up(store: Store, plain: Server) -> None:
    told(plain, {"of-ada": person(ADA, "approvers")})
    with pytest.raises(RolesUnseen, match=f"roles {BOB} has: the user's own groups are not known here"):
        context(store, plain, GROUPS, SignedIn(ADA, "of-ada")).roles_of(BOB)
    assert {r.token for r in plain.requests} == {"token"}


def test_groups_are_read_by_the_app_where_it_may(store: Store, server: Server) -> None:
    server.on("GET", f"{SCIM}/Users", listed(person(ADA, "readers")))
    server.on("GET", f"{SCIM}/Groups", listed())
    found = context(store, server, FILE, SignedIn(ADA, None)).roles_of(ADA)
    assert found == RolesFound(frozenset({Role.VIEWER}), RoleSource.WORKSPACE_GROUPS)


def test_a_workspace_that_fails_is_no_reason_to_read_the_file(store: Store, server: Server) -> None:
    def away(_: Request) -> Any:
        raise Refusal(500, "INTERNAL_ERROR", "no")

    for path in ("Users", "Me"):
        server.on("GET", f"{SCIM}/{path}", away)
    for signed_in in (SignedIn(ADA, None), SignedIn(ADA, "of-ada")):
        here = context(store, server, FILE, signed_in)
        with pytest.raises(RolesUnknown, match="cannot be looked up") as e:
            require(ADA, Role.OPERATOR, here.roles_of, "collecting")
        assert not isinstance(e.value, RolesUnseen)


def test_a_token_whose_answer_fails_is_not_passed_over(store: Store, plain: Server) -> None:
    def away(_: Request) -> Any:
        raise Refusal(500, "INTERNAL_ERROR", "no")

    plain.on("GET", f"{SCIM}/Me", away)
    with pytest.raises(RolesUnknown, match="cannot be looked up"):
        require(ADA, Role.OPERATOR, context(store, plain, FILE, SignedIn(ADA, "of-ada")).roles_of, "collecting")


def test_a_caller_who_may_read_no_users_at_all_is_told_nothing(store: Store, server: Server) -> None:
    def denied(_: Request) -> Any:
        raise Refusal(403, "PERMISSION_DENIED", "no")

    for path in ("Users", "Groups"):
        server.on("GET", f"{SCIM}/{path}", denied)
    assert context(store, server, FILE).roles_of(ADA).source is RoleSource.MIGRATION_FILE
    told(server, {"of-ada": person(ADA, "operators")})
    found = context(store, server, GROUPS, SignedIn(ADA, "of-ada")).roles_of(ADA)
    assert found.roles == {Role.OPERATOR}, "groups within groups are not readable, her own are"


def test_users_named_in_the_file_need_no_workspace(store: Store, server: Server) -> None:
    only = Roles(users=NamedUsers(operator=(ADA,), approver=("Lars@Example.com",)))
    here = context(store, server, only)
    assert here.roles_of("lars@example.com").roles == {Role.APPROVER}
    assert here.roles_of(BOB) == RolesFound(frozenset(), RoleSource.MIGRATION_FILE)
    assert server.requests == []


def test_names_that_only_fold_alike_are_two_users(store: Store, server: Server) -> None:
    only = Roles(users=NamedUsers(approver=("strasse@example.com",)))
    assert context(store, server, only).roles_of("stra\u00dfe@example.com").roles == frozenset()


def test_on_the_command_line_the_tokens_user_is_told_their_own_groups(store: Store, plain: Server) -> None:
    told(plain, {"token": person(ADA, "operators")})
    here = context(store, plain, GROUPS, settings=SETTINGS.model_copy(update={"identity": IdentitySource.TOKEN}))
    assert here.roles_of(ADA) == RolesFound(frozenset({Role.OPERATOR}), RoleSource.OWN_GROUPS)
    with pytest.raises(RolesUnseen):
        here.roles_of(BOB)


def test_two_users_at_once_each_get_their_own(store: Store, plain: Server) -> None:
    together = threading.Barrier(2, timeout=30)
    of = {"of-ada": person(ADA, "operators"), "of-bob": person(BOB, "approvers")}

    def me(request: Request) -> Any:
        together.wait()  # Both calls are under way before either is answered.
        return of[request.token]

    plain.on("GET", f"{SCIM}/Me", me)
    shared = plain.workspace()  # As the pages share it.
    migration = MIGRATION.model_copy(update={"roles": GROUPS})

    def look(signed_in: SignedIn) -> list[RolesFound]:
        parts = {"store": store, "migration": migration, "workspace": shared, "settings": SETTINGS}
        return [Context(signed_in=signed_in, **parts).roles_of(signed_in.user) for _ in range(8)]

    with ThreadPoolExecutor(2) as pool:
        ada, bob = pool.map(look, [SignedIn(ADA, "of-ada"), SignedIn(BOB, "of-bob")])
    assert {f.roles for f in ada} == {frozenset({Role.OPERATOR})}
    assert {f.roles for f in bob} == {frozenset({Role.APPROVER})}
    assert {r.token for r in plain.asked("GET", f"{SCIM}/Me")} == {"of-ada", "of-bob"}
    assert {r.token for r in plain.requests if r.path != f"{SCIM}/Me"} == {"token"}


def test_a_token_is_in_no_representation_and_no_message(store: Store, plain: Server) -> None:
    token = "eyJhbGciOi.secretsecret.signature"
    signed_in = SignedIn(ADA, token)
    assert token not in repr(signed_in)

    def echo(request: Request) -> Any:
        raise Refusal(500, "INTERNAL_ERROR", f"cannot serve Bearer {request.token}")

    plain.on("GET", f"{SCIM}/Me", echo)
    with pytest.raises(Refused) as e:
        context(store, plain, GROUPS, signed_in).roles_of(ADA)
    assert "secretsecret" not in str(e.value)


@pytest.mark.parametrize("given", [{}, {"viewer": ["a"], "operator": ["b"]}])
def test_a_file_without_users_gives_groups_of_each_role(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="name its groups, or the users of each role"):
        Roles.model_validate(given)
