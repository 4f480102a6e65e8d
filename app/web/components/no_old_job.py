"""Banner on every page where the workspace has no old job to be seen: what is missing, and how to name it."""

from __future__ import annotations

import streamlit as st

from app.web.components import panel
from app.web.components.native import page_link
from app.web.components.text import code, literal

SOURCE = "runs:baseline"


def banner() -> None:
    """Draws the banner while the old job's runs were never read and reading them fails. Reads the store only."""
    here = panel.current()
    source = here.store.collected.sources().get(SOURCE)
    if source is None or source.error is None or source.last_success is not None:
        return
    job = here.migration.baseline_job
    named = f"the job with the id {job.id}" if job.id is not None else f"a job named {job.name}"
    with st.container(key="no_old_job", gap="xxsmall"):
        st.error(
            literal(f"No old job has been found: the workspace does not show {named}. {source.error}.")
            + "\n\n"
            + f"Name it by its id in {code('CUTOVER_BASELINE_JOB_ID')} (in Databricks Apps: "
            + code("databricks bundle deploy -t prod --var old_job_id=ID")
            + f"), or by its name in {code(str(here.settings.migration_path))}, under {code('baseline_job')}. "
            + literal("Without it there is nothing to compare with: run times, comparisons and gates stay open."),
            icon=":material/work_off:",
        )
        page_link("Check the setup", "doctor")
