"""Parity: are two tables equal, row for row? SQL in, a typed report out; usable alone (`python -m validation`)."""
