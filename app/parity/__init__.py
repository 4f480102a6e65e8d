"""Comparisons of the migration's tables: requested, due, executed, and what they prove."""
