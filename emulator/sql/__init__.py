"""SQL of the local workspace: errors as the service words them, commands answered by the catalog, Arrow results."""
