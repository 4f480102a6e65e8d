"""From a table of the migration file to what `validation` compares: the one place of this mapping."""
