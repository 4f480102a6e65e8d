"""The exclusion rules under the name by which this repository's own code finds them."""

from __future__ import annotations

from pipeline.fde.exclusions import ExclusionRules, get_fde_exclusion_filter

__all__ = ["ExclusionRules", "get_fde_exclusion_filter"]
