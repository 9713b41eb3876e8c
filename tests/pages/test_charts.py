"""Charts: round ticks, points in their places, what cannot be drawn."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest

from luke_tasks.pages.charts import Series, chart_svg, line_chart, log_ticks, number, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 3, [0, 1, 2, 3]),
        (0.123, 0.9, [0.2, 0.4, 0.6, 0.8]),
        (-5, 5, [-4, -2, 0, 2, 4]),
        (1e-6, 5e-6, [1e-6, 2e-6, 3e-6, 4e-6, 5e-6]),
        (2, 2, [2]),
    ],
)
def test_ticks(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_log_ticks() -> None:
    assert log_ticks(1e-7, 10) == pytest.approx([10.0**power for power in range(-7, 2)])
    assert log_ticks(0.1, 1) == pytest.approx([0.1, 0.2, 0.5, 1])
    assert log_ticks(3.1, 4.9) == [3.1, 4.9]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.00002, "2e-5"),
        (0.25, "0.25"),
        (12345, "12,345"),
        (1.5e9, "1.5e9"),
        (-0.5, "-0.5"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_number(value: float, shown: str) -> None:
    assert number(value) == shown


def test_points_stand_in_their_places() -> None:
    svg = chart_svg([Series("a", [(0, 0), (5, 1), (10, 0.5)])])
    places = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    (x0, low), (x1, high), (x2, middle) = places
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and low > middle > high
    assert (low + high) / 2 == pytest.approx(middle, abs=0.2)


def test_a_logarithmic_axis() -> None:
    svg = chart_svg([Series("a", [(1e-5, 1), (1e-4, 2), (1e-3, 3), (0, 9)])], log_x=True, verticals=[(1e-4, "here")])
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg)]
    assert len(xs) == 3 and xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert "here" in svg and f"M{xs[1]:.1f} " in svg


def test_a_chart_is_xml_and_escaped() -> None:
    nasty = "<b>&\"'"
    series = [Series(nasty, [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0)], best=3), Series("other", [(0, 1)])]
    figure = line_chart(nasty, series, x_label=nasty, y_label=nasty, verticals=[(1, nasty)])
    ET.fromstring(figure)
    assert "nan" not in figure and "<b>" not in figure and "best: 2" in figure


def test_nothing_to_draw() -> None:
    assert "no values" in chart_svg([]) and "no values" in chart_svg([Series("a", [(0, math.nan)])])
    assert "<circle" in chart_svg([Series("a", [(1, 5)])])
    assert 'd="M"' not in chart_svg([Series("a", [(1, 5), (2, 6)]), Series("b", [])])  # no path, for a browser


def test_many_points_keep_their_peak() -> None:
    points = [(step, 9.0 if step == 54_321 else step % 7 / 7) for step in range(100_000)]
    svg = chart_svg([Series("loss", points)])
    assert len(svg) < 30_000 and "loss: 9 at 54,321" in svg
