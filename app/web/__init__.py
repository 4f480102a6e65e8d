"""The panel: session, pages and their components."""
