"""What the worker collected from the workspace: runs, updates, events, cost, tables, schedules, and how old each is."""
