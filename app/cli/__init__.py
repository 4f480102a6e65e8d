"""The commands of `cutover`, one file a group of them, and what they share."""
