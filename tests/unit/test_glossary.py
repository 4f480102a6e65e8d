"""docs/glossary.md: at most 40 terms, each of them in use; and words that pages, command line and documents avoid."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
GROUPS = [re.findall(r"^- \*\*(.+?)\*\*: ", group, re.M) for group in GLOSSARY.split("\n## ")[1:]]
TERMS = [term for group in GROUPS for term in group]

PROSE = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SPOKEN = ("app/web", "app/cli", "app/operations")
"""Where a text that is no docstring may reach a page or a terminal."""

AVOIDED = re.compile(
    r"""
    \b(?: carr(?:y|ies|ied|ying)\s(?:it\s)?(?:out|on) | hangs?\son | hangers? | begun | told | asked\s(?:for|by)
        | asks?\sfor | already\sso | so\salready | (?<!\()nobody | look,\sdon't\stouch | looking\sonly | not\sboth | as\sa\sbag
        | is\strusted | is\sthe\s(?:record|chain)\swhole | what\smay\sI\sdo | make\sthe\splan
    )\b | \bonly\slooks\b | \Atook\b
    """,
    re.I | re.X,
)
"""docs/glossary.md and the standard terms have a word for each of these. `(nobody)` is a name in the audit log."""


def literals(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each string of a module that is neither a docstring nor a name such as a key."""
    tree = ast.parse(file.read_text())
    statements = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in statements:
            continue
        if not re.fullmatch(r"[a-z0-9_.:-]*", node.value):
            yield node.lineno, node.value


def help_texts(file: Path) -> Iterator[tuple[int, str]]:
    """Docstrings of commands, which `--help` prints."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            yield node.lineno, ast.get_docstring(node) or ""


def spoken() -> Iterator[tuple[str, str]]:
    """Place and text of all that a person may read on a page, in a terminal or in a document."""
    for file in PROSE:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            yield f"{file.relative_to(ROOT)}:{number}", line
    for folder in SPOKEN:
        for file in sorted((ROOT / folder).rglob("*.py")):
            texts = [*literals(file), *(help_texts(file) if folder == "app/cli" else ())]
            yield from ((f"{file.relative_to(ROOT)}:{number}", text) for number, text in texts)


def test_glossary_is_short_and_in_order() -> None:
    assert 20 <= len(TERMS) <= 45
    assert len(set(TERMS)) == len(TERMS)
    for group in GROUPS:
        assert group == sorted(group)


@pytest.mark.parametrize("term", TERMS)
def test_term_is_used(term: str) -> None:
    wanted = re.compile(r"(?<![a-z])" + re.sub(r"[ -]", "[ _-]?", term), re.I)
    files = [f for place in ("app", "validation") for f in sorted((ROOT / place).rglob("*.py"))]
    assert any(wanted.search(f.read_text()) for f in files)


def test_no_text_uses_a_word_that_has_a_standard_term() -> None:
    found = [f"{place}: {m[0]!r} in {text!r}" for place, text in spoken() if (m := AVOIDED.search(text))]
    assert not found, "\n".join(found)
