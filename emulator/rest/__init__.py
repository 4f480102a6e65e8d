"""The REST API of the local workspace, one module an API area."""
