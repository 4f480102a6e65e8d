"""How far this machine's clock is from the workspace's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from app.doctor.model import Finding, missing, ok, unknown
from app.doctor.setup import Setup
from app.durations import duration
from databricks_client.clock import read_clock

SOME, FAR = timedelta(seconds=30), timedelta(minutes=5)
"""From FAR on sign-in with signed tokens fails, and an approval's or evidence's age is wrong by so much."""

FIX = "sudo timedatectl set-ntp true"
IN_APPS = "databricks apps stop cutover && databricks apps start cutover"


def find(setup: Setup) -> Iterator[Finding]:
    """The difference between the Date of an answer, which has whole seconds, and the middle of its call."""
    before = setup.clock()
    there = read_clock(setup.workspace.rest)
    after = setup.clock()
    if there is None:
        yield unknown("clock", "the workspace's answer has no Date", required=False)
        return
    skew = before + (after - before) / 2 - (there + timedelta(seconds=0.5))
    seen = f"this clock is {duration(abs(skew))} {'ahead of' if skew > timedelta() else 'behind'} the workspace's"
    if abs(skew) < SOME:
        yield ok("clock", seen)
        return
    yield missing("clock", seen, IN_APPS if setup.settings.in_databricks_apps else FIX, abs(skew) >= FAR)
