"""The pages, and what holds for each of them: it draws without a failure, with its question and a sentence."""

from __future__ import annotations

import re

from streamlit.testing.v1 import AppTest

from tests.support.pages_open import text_of, unescaped

RAW_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z")
"""A time of `app.moments.when` that no page has shown in the reader's zone."""

PAGES = ("overview", "runs", "health", "performance", "parity", "operations", "checklist", "audit", "doctor")
QUESTIONS = {
    "overview": "Can we cut over?",
    "runs": "Did the last runs succeed?",
    "health": "Is the new side healthy?",
    "performance": "Is the new side as fast and as cheap?",
    "parity": "Are the tables equal?",
    "operations": "What is running?",
    "checklist": "Which sign-offs are missing?",
    "audit": "Is the audit log intact?",
    "doctor": "Does the setup pass?",
}


def assert_sound(at: AppTest, path: str) -> None:
    assert not at.exception, [e.value for e in at.exception]
    failures = [e.value for e in at.error if "This part of the page failed" in e.value]
    assert not failures, failures
    captions = [unescaped(c.value) for c in at.caption]
    assert QUESTIONS[path] in captions
    sentence = next(m.value for m in at.markdown if m.value.startswith("# "))
    assert len(unescaped(sentence)) > 20
    shown = [text_of(at), *(f.value.to_csv() for f in at.dataframe)]
    raw = [found for text in shown for found in RAW_TIME.findall(text)]
    assert not raw, f"times that are not in the reader's zone: {raw}"
