"""One module a check: a function from the setup to findings."""
