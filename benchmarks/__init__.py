"""What is measured, each beside its peer, in one run."""
