"""Run time, DBU and cost: baseline against candidate."""
