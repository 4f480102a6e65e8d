"""A public library's loans: one job whose notebook writes two tables, moved onto a pipeline with two datasets."""
