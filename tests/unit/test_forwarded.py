"""The proxy's headers name one user, or nobody acts."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from streamlit.runtime.context import StreamlitHeaders

from app.access import SignedIn
from app.web.components.forwarded import TOKEN, Malformed, forwarded_token, forwarded_user, signed_in

EMAIL, PREFERRED, USER = "X-Forwarded-Email", "X-Forwarded-Preferred-Username", "X-Forwarded-User"


def headers(pairs: Iterable[tuple[str, str]]) -> StreamlitHeaders:
    return StreamlitHeaders(pairs)


@pytest.mark.parametrize(
    ("pairs", "user"),
    [
        ([], None),
        ([("X-Other", "a@b")], None),
        ([(EMAIL, "a.b+c@example.com")], "a.b+c@example.com"),
        ([(PREFERRED, "b@example.com"), (EMAIL, "a@example.com"), (USER, "7@123")], "a@example.com"),
        ([(USER, "5b2c0f7e-8a51-4a59-9d0a-2f2f5d7b5c11")], "5b2c0f7e-8a51-4a59-9d0a-2f2f5d7b5c11"),
        ([(EMAIL, "jürgen@example.com")], "jürgen@example.com"),
    ],
)
def test_one_well_formed_name_is_the_user(pairs: list[tuple[str, str]], user: str | None) -> None:
    assert forwarded_user(headers(pairs)) == user


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(EMAIL, "a@x"), (EMAIL, "b@x")], "X-Forwarded-Email is present 2 times"),
        ([(EMAIL, "a@x"), (EMAIL, "a@x")], "is present 2 times"),
        ([(EMAIL, "a@x"), ("x-forwarded-email", "b@x")], "is present 2 times"),
        ([(EMAIL, "a@x"), (USER, "b"), (USER, "c")], "X-Forwarded-User is present 2 times"),
        ([(EMAIL, "a@x,b@x")], "is not a mail address"),
        ([(EMAIL, "a@x, b@x")], "is not a mail address"),
        ([(EMAIL, "a@x b@x")], "is not a mail address"),
        ([(EMAIL, "A <a@x>")], "is not a mail address"),
        ([(EMAIL, "a")], "is not a mail address"),
        ([(EMAIL, "a@")], "is not a mail address"),
        ([(EMAIL, "a@b@c")], "is not a mail address"),
        ([(EMAIL, "")], "is blank"),
        ([(EMAIL, "  ")], "is blank"),
        ([(EMAIL, ""), (PREFERRED, "b@x")], "X-Forwarded-Email is blank"),
        ([(EMAIL, " a@x")], "is not a mail address"),
        ([(EMAIL, "a@x\x00")], "contains a control character"),
        ([(EMAIL, "a@x\x1b[2J")], "contains a control character"),
        ([(EMAIL, "a\u202e@x")], "contains a control character"),
        ([(EMAIL, "a\ud800@x")], "contains a control character"),
        ([(EMAIL, "a@x"), (PREFERRED, "b,c")], "X-Forwarded-Preferred-Username is not a user name"),
        ([(EMAIL, "a" * 200 + "@x")], "is longer than 200 characters"),
    ],
)
def test_anything_else_names_nobody(pairs: list[tuple[str, str]], reason: str) -> None:
    with pytest.raises(Malformed, match=reason) as e:
        forwarded_user(headers(pairs))
    assert str(e.value).isprintable()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        (["abc.def"], "abc.def"),
        (["abc.def", "abc.def"], None),
        ([""], None),
        (["abc def"], None),
        (["abc\ndef"], None),
        (["t\u00f6ken"], None),
        (["x" * 16_385], None),
    ],
)
def test_a_forwarded_token_is_one_token_or_none(values: list[str], expected: str | None) -> None:
    sent = [(TOKEN, v) for v in values]
    assert forwarded_token(headers(sent)) == expected
    assert signed_in(headers([*sent, (EMAIL, "a@x")])) == SignedIn("a@x", expected)
    assert signed_in(headers([*sent, (EMAIL, "a@x"), (EMAIL, "b@x")])) is None
    assert signed_in(headers(sent)) is None
