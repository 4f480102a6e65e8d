"""A Plotly figure built as plain dictionaries: the calls of `plotly.graph_objects.Figure` that the charts use.

Plotly's own class checks each property when it is set and again when it is written: 15 to 50 ms of a page's script for
each chart, and a second for the first one. Here the tests check: each figure that they draw passes Plotly's validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from plotly.basedatatypes import BaseFigure


class Figure(BaseFigure):  # type: ignore[misc]
    """Traces and a layout with one pair of axes, which Streamlit takes as it is, without validation.

    Times become ISO-8601 text; a setting that is None is left out. No template of Python's is sent: the browser applies
    the page's theme.
    """

    def __init__(self) -> None:
        # Not that of BaseFigure, which prepares validation.
        self._traces: list[dict[str, Any]] = []
        self._arrangement: dict[str, Any] = {}

    @property
    def data(self) -> list[dict[str, Any]]:
        """The traces, in the order in which they were added."""
        return self._traces

    @property
    def layout(self) -> dict[str, Any]:
        """Settings of the layout by name."""
        return self._arrangement

    def to_dict(self) -> dict[str, Any]:
        """The figure as Plotly's JSON schema has it; its own dictionaries, not a copy."""
        return {"data": self._traces, "layout": self._arrangement}

    def add_bar(self, **settings: Any) -> None:
        self._add("bar", settings)

    def add_box(self, **settings: Any) -> None:
        self._add("box", settings)

    def add_heatmap(self, **settings: Any) -> None:
        self._add("heatmap", settings)

    def add_scatter(self, **settings: Any) -> None:
        self._add("scatter", settings)

    def add_scattergl(self, **settings: Any) -> None:
        """As `add_scatter`, drawn by WebGL: for thousands of points."""
        self._add("scattergl", settings)

    def add_annotation(self, **settings: Any) -> None:
        self._arrangement.setdefault("annotations", []).append(_plain(settings))

    def add_vline(self, x: Any, **settings: Any) -> None:
        """A line over the whole height at `x`."""
        self.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, xref="x", yref="y domain", **settings)

    def add_hline(self, y: Any, **settings: Any) -> None:
        """A line over the whole width at `y`."""
        self.add_shape(type="line", x0=0, x1=1, y0=y, y1=y, xref="x domain", yref="y", **settings)

    def add_hrect(self, y0: Any, y1: Any, **settings: Any) -> None:
        """A band over the whole width from `y0` to `y1`."""
        self.add_shape(type="rect", x0=0, x1=1, y0=y0, y1=y1, xref="x domain", yref="y", **settings)

    def update_layout(self, **settings: Any) -> None:
        _merge(self._arrangement, _plain(settings))

    def update_xaxes(self, **settings: Any) -> None:
        _merge(self._arrangement.setdefault("xaxis", {}), _axis(settings))

    def update_yaxes(self, **settings: Any) -> None:
        _merge(self._arrangement.setdefault("yaxis", {}), _axis(settings))

    def _add(self, kind: str, settings: Mapping[str, Any]) -> None:
        self._traces.append({"type": kind, **_plain(settings)})

    def add_shape(self, **settings: Any) -> None:
        self._arrangement.setdefault("shapes", []).append(_plain(settings))


def _axis(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = _plain(settings)
    if isinstance(title := found.get("title"), str):
        found["title"] = {"text": title}
    return found


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(v) for name, v in settings.items() if v is not None}


def _value(value: Any) -> Any:
    """A setting as JSON has it. Inside lists None stays: it is a gap in the data."""
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        first = next((v for v in value if v is not None), None)
        # Lists of numbers and of texts, which may be long, stay as they are.
        return [_value(v) for v in value] if isinstance(first, (date, list, tuple, Mapping)) else value
    return value


def _merge(into: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
