"""Source data of the bundled migration: invented, deterministic, sized by one number."""

from emulator.sources.generate import generate
from emulator.sources.schemas import SCHEMAS, TABLES
from emulator.sources.ticks import Ticked, tick

__all__ = ["SCHEMAS", "TABLES", "Ticked", "generate", "tick"]
