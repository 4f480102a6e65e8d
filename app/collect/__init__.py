"""Collects the workspace's state into the store: each source separately, from its cursor."""

from app.collect.collector import Collector
from app.collect.context import CollectContext
from app.collect.sources import sources

__all__ = ["CollectContext", "Collector", "sources"]
