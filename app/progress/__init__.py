"""Status of the migration from evidence: phases, checklist, success metrics and gates, as pure functions."""
