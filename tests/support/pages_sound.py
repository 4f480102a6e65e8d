"""The pages, and what holds for each of them: it draws without a failure, with its question and a sentence."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.support.pages_open import unescaped

PAGES = ("overview", "runs", "health", "performance", "parity", "operations", "checklist", "audit")
QUESTIONS = {
    "overview": "Can we cut over?",
    "runs": "Is the new pipeline healthy?",
    "health": "Is the new side healthy?",
    "performance": "Is the new side as fast and as cheap?",
    "parity": "Are the tables equal?",
    "operations": "What is running?",
    "checklist": "Which sign-offs are missing?",
    "audit": "Is the audit log intact?",
}


def assert_sound(at: AppTest, path: str) -> None:
    assert not at.exception, [e.value for e in at.exception]
    failures = [e.value for e in at.error if "This part of the page failed" in e.value]
    assert not failures, failures
    captions = [unescaped(c.value) for c in at.caption]
    assert QUESTIONS[path] in captions
    sentence = next(m.value for m in at.markdown if m.value.startswith("# "))
    assert len(unescaped(sentence)) > 20
