"""The panel: its session, its pages and what they are built of."""
