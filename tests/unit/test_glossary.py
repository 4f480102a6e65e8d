"""docs/glossary.md: at most 40 terms, each of them in use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
GROUPS = [re.findall(r"^- \*\*(.+?)\*\*: ", group, re.M) for group in GLOSSARY.split("\n## ")[1:]]
TERMS = [term for group in GROUPS for term in group]


def test_glossary_is_short_and_in_order() -> None:
    assert 20 <= len(TERMS) <= 40
    assert len(set(TERMS)) == len(TERMS)
    for group in GROUPS:
        assert group == sorted(group)


@pytest.mark.parametrize("term", TERMS)
def test_term_is_used(term: str) -> None:
    wanted = re.compile(r"(?<![a-z])" + re.sub(r"[ -]", "[ _-]?", term), re.I)
    files = [f for place in ("app", "validation") for f in sorted((ROOT / place).rglob("*.py"))]
    assert any(wanted.search(f.read_text()) for f in files)
