"""Alerts: what happened is put into an outbox in the store, and sent from there by the worker."""
