"""Migrations beside the bundled one: each a folder with its file, its notebooks, its pipeline and its installer."""
