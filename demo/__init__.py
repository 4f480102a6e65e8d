"""Fills a local workspace with the bundled migration: its jobs and pipelines, generated tables and history."""
