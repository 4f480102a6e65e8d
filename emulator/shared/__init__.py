"""What the local workspace shares with its clients. The wheel holds copies of those modules (see pyproject.toml)."""
