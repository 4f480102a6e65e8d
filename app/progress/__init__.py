"""Evidence in, status out: phases, checklist, success metrics and comparisons, as pure functions."""
