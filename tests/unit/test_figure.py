"""A figure made of plain dictionaries is what Plotly's own class makes of the same calls."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import plotly.graph_objects as go
import pytest
from plotly.tools import return_figure_from_figure_or_data

from app.web.components.figure import Figure
from tests.support.drawn import drawn


def draw(figure: Any) -> Any:
    figure.add_scatter(
        name="a", x=[datetime(2026, 3, 2, 5), None], y=[1.0, None], line=None, error_x={"array": [1], "color": None}
    )
    figure.add_bar(x=[[date(2026, 3, 2)], ["old"]], y=(1, 2), marker={"pattern": {"shape": ["x", ""]}})
    figure.add_heatmap(x=[0, 1], y=["t"], z=[[None, 1.5]], colorscale="Purples")
    figure.add_box(x=[1, 2])
    figure.add_vline(x=1, line={"width": 2})
    figure.add_hline(y=1)
    figure.add_shape(type="rect", x0=1, x1=2, y0=3, y1=4, xref="x", yref="y", opacity=0.2)
    figure.add_hrect(y0=1, y1=2, layer="below")
    figure.add_annotation(x=0, y=1, text="words", showarrow=False)
    figure.update_layout(legend={"orientation": "h", "y": None}, height=200)
    figure.update_layout(legend={"traceorder": "reversed"})
    figure.update_xaxes(type="date", title="day", range=[datetime(2026, 3, 2), datetime(2026, 3, 3)])
    figure.update_xaxes(title="hour", showgrid=False)
    figure.update_yaxes(ticktext=None, automargin=True)
    return figure


def written(figure: Any) -> Any:
    found = json.loads(figure.to_json())
    found["layout"].pop("template", None)
    return found


def test_the_same_calls_make_the_same_figure() -> None:
    assert written(drawn(draw(Figure()))) == written(draw(go.Figure()))


def test_streamlit_takes_it_as_it_is() -> None:
    figure = draw(Figure())
    assert return_figure_from_figure_or_data(figure, validate_figure=True) == figure.to_dict()
    assert json.loads(json.dumps(figure.to_dict()))["layout"]["xaxis"]["title"] == {"text": "hour"}


def test_a_time_with_a_zone_keeps_it() -> None:
    figure = Figure()
    figure.add_scatter(x=[datetime(2026, 3, 2, 5, tzinfo=UTC)])
    assert figure.data[0]["x"] == ["2026-03-02T05:00:00+00:00"]


def test_the_tests_refuse_what_is_none_of_plotlys() -> None:
    figure = Figure()
    figure.add_scatter(x=[1], colour="red")
    with pytest.raises(ValueError, match="colour"):
        drawn(figure)
