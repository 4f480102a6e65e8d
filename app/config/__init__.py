"""Settings from the environment, and the migration file."""
