"""Figures as Plotly itself has them: validated, and with attributes in place of keys."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from app.web.components.figure import Figure


def drawn(figure: Figure) -> Any:
    """The figure as `plotly.graph_objects.Figure`. Raises ValueError where a setting or a value is none of Plotly's."""
    return go.Figure(Figure.to_dict(figure))


def validated(self: Figure) -> dict[str, Any]:
    """In place of `Figure.to_dict`: the same, for a figure that passes Plotly's validation."""
    found = {"data": self.data, "layout": self.layout}
    go.Figure(found)
    return found
