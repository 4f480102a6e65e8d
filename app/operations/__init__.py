"""Start-update, run-now, pause, unpause, cutover, rollback: planned, gated, journaled, read back."""
