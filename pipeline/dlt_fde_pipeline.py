"""What the migration guide imports from its pipeline's file, for code that has the pipeline's root folder on its
path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.fde.exclusions import ExclusionRules, get_fde_exclusion_filter
else:
    from fde.exclusions import ExclusionRules, get_fde_exclusion_filter

__all__ = ["ExclusionRules", "get_fde_exclusion_filter"]
