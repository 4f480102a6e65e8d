"""Generated source data of the bundled migration: invented, deterministic, sized by one number."""

from demo.sources.generate import generate
from demo.sources.schemas import SCHEMAS, TABLES
from demo.sources.ticks import Ticked, tick

__all__ = ["SCHEMAS", "TABLES", "Ticked", "generate", "tick"]
