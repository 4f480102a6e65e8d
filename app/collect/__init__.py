"""Brings the workspace's news into the store: each source by itself, from where it last was."""

from app.collect.collector import Collector
from app.collect.context import CollectContext
from app.collect.sources import sources

__all__ = ["CollectContext", "Collector", "sources"]
