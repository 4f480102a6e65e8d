"""Run time, DBU and cost of runs: baseline against candidate."""
