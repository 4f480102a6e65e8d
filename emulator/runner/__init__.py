"""Runs for real: job runs, notebook tasks and pipeline updates."""
