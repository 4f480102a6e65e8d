"""The migration file holds every box of the migration guide, and no item is left without its origin.

The guide marks what is to be done with `[ ]`, in lists with dashes and in numbered ones: 85 boxes. Each is an item of its
own, also where two boxes say the same of two sections. Six items more are numbered actions of the guide's Phase 3 that
have no box.
"""

from __future__ import annotations

import pytest

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.progress.phases import phases
from app.store.collected.records import Snapshot
from tests.support.progress_facts import MIGRATION, TABLES, compared, facts, read, run, table, update

GUIDE: dict[str, dict[str, str]] = {
    "Tools & Access": {
        "pre_workspace": "Databricks Workspace access (with CREATE PIPELINE permission)",
        "pre_github": "GitHub access to https://github.com/snapptinc/dbx",
        "pre_cli": "Databricks CLI configured (~/.databrickscfg setup)",
        "pre_python": "Python 3.10+ with virtual environment",
        "pre_source": "Access to RDS source tables (rds.pg_rds_public.*)",
        "pre_sandbox": "Write access to team_sandbox.data_engineering.* (for testing)",
        "pre_product": "Write access to product.fde.* (for production)",
    },
    "Knowledge Requirements": {
        "know_dlt": "Understanding of Delta Live Tables concepts",
        "know_spark": "Familiarity with PySpark/SparkSQL",
        "know_workflow": "Knowledge of existing 00_RDS workflow",
        "know_model": "Understanding of FDE data model",
    },
    "Step 1: Understand Current Notebooks": {
        "notebooks_documented": "Documentation of each notebook's purpose",
        "outputs_listed": "List of output tables and their schemas",
        "lineage_drawn": "Data lineage diagram",
    },
    "Step 2: Set Up Development Environment": {
        "dev_pipeline_created": "Development pipeline created in Databricks",
        "sandbox_configured": "Sandbox catalog/schema configured (team_sandbox.data_engineering)",
        "branch_pushed": "Git branch created and pushed",
    },
    "Step 3: Review Existing DLT Code": {
        "code_reviewed": "Unity FDE DLT code reviewed and validated",
        "sandbox_run": "Test run completed in sandbox",
        "sandbox_compared": "Output compared with production table",
    },
    "Step 4: Create Project Plan": {
        "team_aligned": "Team alignment on approach",
        "timeline_approved": "Timeline approved",
        "resources_allocated": "Resources allocated",
        "check_ins": "Weekly check-in meetings scheduled",
    },
    "Week 2: Deploy Development Pipeline": {
        "w2_pipeline": "DLT pipeline created in Databricks",
        "w2_run": "First successful run completed",
        "w2_tables": "Output tables created in sandbox",
        "w2_validation": "Basic validation passed",
    },
    "Week 3: Parallel Testing": {
        "w3_scheduled": "DLT pipeline scheduled (offset from production)",
        "w3_monitoring": "Monitoring notebook created and scheduled",
        "w3_week": "1 week of parallel runs completed",
        "w3_reports": "Validation reports generated",
    },
    "Week 4: Performance Optimization": {
        "w4_analysis": "Performance analysis completed",
        "w4_optimized": "Optimization applied (if needed)",
        "w4_cost": "Cost comparison documented",
        "w4_performance": "Performance meets or exceeds notebook",
    },
    "Week 5: Production Preparation": {
        "w5_pipeline": "Production DLT pipeline created (not scheduled)",
        "w5_job": "New 00_RDS_v2 workflow created (paused)",
        "w5_downstream": "Downstream notebooks updated to use new table",
        "w5_ready": "Ready for parallel production run",
    },
    "Week 6-7: Add income_verification + iv_fde_ax": {
        "w6_added": "2 new tables added to DLT pipeline",
        "w6_sandbox": "Tested in sandbox",
        "w6_validated": "Validated against production",
        "w6_deployed": "Deployed to production",
    },
    "Week 8-9: Add iv_master_results + unity_av_fde": {
        "w8_added": "2 more tables added to DLT pipeline",
        "w8_total": "Total of 5 tables now in DLT (dim_fde + 4 downstream)",
    },
    "Week 10-11: Add roi_fraud_reduction": {
        "w10_all": "All 6 tables now in DLT pipeline",
        "w10_parallel": "Full workflow running in parallel with original",
        "w10_validation": "All validation tests passing",
    },
    "Step 1: Final Validation": {
        "v_identical": "All 6 tables produce identical output",
        "v_performance": "Performance is equal or better",
        "v_costs": "Costs are equal or lower",
        "v_dashboards": "All downstream dashboards/reports work",
        "v_quality": "Data quality metrics all green",
    },
    "Step 3: Decommission Old Workflow": {
        "c_done": "Cutover completed successfully",
        "d_archived": "Old workflow archived",
        "d_documentation": "Documentation updated",
        "d_trained": "Team trained on new DLT pipeline",
    },
    "Technical Metrics": {
        "m_runs": "Pipeline runs successfully 4x daily for 2 weeks",
        "m_exact": "Output matches production exactly (row-for-row)",
        "m_runtime": "Execution time ≤ current notebook execution time",
        "m_cost": "DBU cost ≤ current workflow cost",
        "m_expectations": "Data quality expectations all passing",
        "m_incidents": "Zero production incidents",
    },
    "Business Metrics": {
        "m_dashboards": "All downstream dashboards working",
        "m_reports": "All scheduled reports delivering",
        "m_consumers": "All data consumers satisfied",
        "m_approval": "Stakeholder approval obtained",
    },
    "Quality Metrics": {
        "m_schema": "100% schema compatibility",
        "m_accuracy": "100% data accuracy",
        "m_reliability": "≥ 99.9% pipeline reliability",
        "m_tracking": "Data quality metrics implemented and tracking",
    },
    "Immediate Actions (This Week)": {
        "next_review": "Review this guide with the team",
        "next_environment": "Set up development environment",
        "next_notebooks": "Export and analyze all 6 notebooks",
        "next_branch": "Create feature branch in Git",
        "next_kickoff": "Schedule kickoff meeting",
    },
    "Week 1 Actions": {
        "next_phase_0": "Complete Phase 0 (Preparation)",
        "next_sandbox_test": "Test existing unity_fde DLT code in sandbox",
        "next_dev_pipeline": "Create development DLT pipeline",
        "next_monitoring": "Set up monitoring notebooks",
    },
    "Week 2 Actions": {
        "next_phase_1": "Start Phase 1 (Unity FDE DLT)",
        "next_sandbox": "Deploy to sandbox",
        "next_parallel": "Begin parallel testing",
        "next_daily": "Daily validation checks",
    },
}
"""Heading of the guide to key of the item to the words of its box."""

WITHOUT_BOX = {
    "v_week": "Run both workflows in parallel for 1 week",
    "c_window": "Schedule cutover during low-traffic period",
    "c_communicated": "Communicate to stakeholders",
    "c_rehearsed": "Cutover Steps: proven on copies first",
    "d_waited": "Wait 1 week after cutover",
    "d_tables": "Delete old tables (keep backups for 30 days)",
}
"""Items from the numbered actions and the cutover steps of Phase 3."""


@pytest.fixture(scope="module")
def items() -> dict[str, str]:
    """Key to title of every deliverable and metric."""
    m = Migration.load(DEFAULT_MIGRATION)
    found = {d.key: d.title for p in m.phases for s in p.steps for d in s.deliverables}
    return found | {metric.key: metric.title for metric in m.metrics}


def test_the_guide_has_85_boxes() -> None:
    assert sum(len(boxes) for boxes in GUIDE.values()) == 85


def test_every_box_of_the_guide_is_an_item_and_every_item_is_of_the_guide(items: dict[str, str]) -> None:
    boxes = [key for section in GUIDE.values() for key in section]
    assert sorted(items) == sorted([*boxes, *WITHOUT_BOX])


def words(text: str) -> set[str]:
    return {w.strip("(),.:*").lower() for w in text.replace("/", " ").split()}


def test_a_title_says_what_its_box_says(items: dict[str, str]) -> None:
    for section in GUIDE.values():
        for key, box in section.items():
            shared = words(box) & words(items[key])
            assert 3 * len(shared) >= len(words(box)), (key, box, items[key])


def test_the_boxes_of_a_section_stand_in_one_step_or_group_in_the_guides_order() -> None:
    m = Migration.load(DEFAULT_MIGRATION)
    of = {d.key: s.key for p in m.phases for s in p.steps for d in s.deliverables}
    of |= {metric.key: metric.group for metric in m.metrics}
    order = list(of)
    for section, boxes in GUIDE.items():
        assert section == "Step 3: Decommission Old Workflow" or len({of[k] for k in boxes}) == 1, section
        assert [k for k in order if k in boxes] == list(boxes), section


def test_two_runs_by_hand_do_not_complete_the_downstream_tables() -> None:
    by_hand = [run("candidate", n, hours, trigger="ONE_TIME") for n, hours in ((2, 1.0), (1, 2.0))]
    old = run("baseline", 3, 1.5)
    names = [n for t in MIGRATION.tables for n in (t.baseline, t.candidate, t.development) if n]
    snapshot = Snapshot(
        read("runs:baseline", "runs:candidate", "updates:production", "tables", "schedules"),
        {}, {}, {n: table(n) for n in names}, (*by_hand, old), (update(1, 1.0),),
    )  # fmt: skip
    identical = {"production": {t: compared(t, 0.5) for t in TABLES}, "development": {}}
    found = phases(facts(snapshot=snapshot, parity=identical))[2]
    assert [d.deliverable.key for s in found.steps for d in s.deliverables if not d.standing.met] == ["w10_parallel"]
