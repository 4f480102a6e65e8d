"""What a browser finds at the addresses of the service's own pages: a hint, and nothing of the records."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from databricks_client.links import Links
from emulator.workspace import Workspace
from tests.support.emulator_workspace import Caller, workspace_in

LINKS = Links("http://127.0.0.1:1")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return workspace_in(tmp_path_factory.mktemp("pages"))


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (LINKS.job(5), ["job 5", "databricks jobs get 5", "/api/2.2/jobs/get?job_id=5"]),
        (LINKS.run(5, 6), ["run 6 of job 5", "databricks jobs get-run 6"]),
        (LINKS.pipeline("p-1"), ["pipeline p-1", "databricks pipelines get p-1"]),
        (LINKS.update("p-1", "u-1"), ["update u-1 of pipeline p-1", "/api/2.0/pipelines/p-1/updates/u-1"]),
        (LINKS.table("a.b.c"), ["table a.b.c", "databricks tables get a.b.c"]),
        ("http://127.0.0.1:1/sql/warehouses/w1", ["SQL warehouse w1"]),
        ("http://127.0.0.1:1/?o=0#job/5/run/6", ["behind its #", "databricks jobs get-run"]),
    ],
)
def test_every_link_of_the_panel_has_a_page_that_says_what_it_would_open(local: Workspace, link: str, words: list[str]):
    address = urlsplit(link)
    status, text = Caller(local, token="")("GET", unquote(address.path), query=address.query)
    assert status == 200
    assert "local workspace" in text
    for word in words:
        assert word in text


def test_a_page_shows_nothing_of_the_records(local: Workspace):
    made = local.jobs.create({"name": "secret name"}, "admin@example.com")
    known = Caller(local, token="")("GET", f"/jobs/{made.job_id}")
    unknown = Caller(local, token="")("GET", f"/jobs/{made.job_id + 1}")
    assert "secret name" not in known[1]
    assert (known[0], known[1].replace(str(made.job_id), "N")) == (
        unknown[0],
        unknown[1].replace(str(made.job_id + 1), "N"),
    )


def test_a_page_takes_nothing_from_its_address_but_text(local: Workspace):
    text = Caller(local, token="")("GET", '/explore/data/a/b/<script>alert("1")&{0}; rm -r $HOME')[1]
    assert "<script>" not in text
    assert "&lt;script&gt;alert(&quot;1&quot;)&amp;{0}; rm -r $HOME" in text
    assert "databricks tables get a.b.&#x27;&lt;script&gt;" in text, "the command can be pasted into a shell"


def test_other_addresses_stay_unknown(local: Workspace):
    assert Caller(local, token="")("GET", "/nothing/here")[0] == 404
