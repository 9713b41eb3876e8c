"""Line charts as SVG: several series, axes with round numbers, a legend, values under the pointer; no script.

Enters: numbers. Leaves: an `<svg>` (`chart_svg`, also a file by itself), or a figure for a page with title and legend
(`line_chart`). Text and axes take the page's colour of text, so a chart fits light and dark screens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#4c86c6", "#e8843c", "#3fa66b", "#b76bc9", "#c9a227", "#d1495b", "#2aa1a8", "#8a8f98")
_WIDTH, _HEIGHT = 420, 260  # user units: about the pixels of a chart on a phone
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 10, 44  # margins
_MOST_POINTS = 400  # of a line; more cannot be told apart
_MOST_DOTS = 60  # that show their values

STYLE = """
.chart { margin: 0; min-width: 0; }
.chart figcaption { font-weight: 600; margin: .25rem 0; }
.chart svg { display: block; width: 100%; height: auto; max-width: 640px; }
.legend { display: flex; flex-wrap: wrap; gap: 0 1em; font-size: .85em; margin: 0 0 .25rem; }
.legend i { display: inline-block; width: 1em; height: 3px; vertical-align: middle; margin-right: .4em; }
.legend span { overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Series:
    """One line.

    Args:
        name: in the legend.
        points: (x, y), in the order of x; those that are no finite numbers are left out.
        dashed: drawn with gaps.
        colour: of CSS; None: the chart's next one.
        best: index of the point that gets a ring; None: none.
    """

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    colour: str | None = None
    best: int | None = None


def line_chart(
    title: str, series: Sequence[Series], *, x_label: str = "", y_label: str = "", log_x: bool = False,
    log_y: bool = False, whole_x: bool = False, verticals: Sequence[tuple[float, str]] = (),
) -> str:  # fmt: skip
    """A figure with its title, legend (of more than one series) and chart; see `chart_svg`."""
    drawn = chart_svg(series, title=title, x_label=x_label, y_label=y_label, log_x=log_x, log_y=log_y,
                      whole_x=whole_x, verticals=verticals)  # fmt: skip
    legend = ""
    if len(series) > 1:
        entries = "".join(f'<span><i style="background:{escape(colour)}"></i>{escape(one.name)}</span>'
                          for one, colour in zip(series, _colours(series), strict=True))  # fmt: skip
        legend = f'<div class="legend">{entries}</div>'
    return f'<figure class="chart"><figcaption>{escape(title)}</figcaption>{legend}{drawn}</figure>'


def chart_svg(
    series: Sequence[Series], *, title: str = "", x_label: str = "", y_label: str = "", log_x: bool = False,
    log_y: bool = False, whole_x: bool = False, verticals: Sequence[tuple[float, str]] = (),
) -> str:  # fmt: skip
    """The chart alone, `<svg>` with its namespace.

    Args:
        title: read out to those who do not see it.
        log_x, log_y: a logarithmic axis; what is not above 0 is left out.
        whole_x: the axis counts something; its numbers have no fractions.
        verticals: (x, label) of upright dashed lines.
    """
    shown = [[(x, y) for x, y in one.points if _fits(x, log_x) and _fits(y, log_y)] for one in series]
    frame = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
             f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="14" '
             'fill="currentColor">')  # fmt: skip
    if not any(shown):
        return f'{frame}<text x="{_WIDTH / 2}" y="{_HEIGHT / 2}" text-anchor="middle">no values</text></svg>'
    xs = [x for points in shown for x, _ in points] + [x for x, _ in verticals if _fits(x, log_x)]
    ys = [y for points in shown for _, y in points]
    across = _Axis.of(xs, log_x, _LEFT, _WIDTH - _RIGHT, whole=whole_x)
    upward = _Axis.of(ys, log_y, _HEIGHT - _BOTTOM, _TOP, padded=True)
    parts = [frame, *_grid(across, upward, x_label, y_label)]
    for x, label in verticals:
        if _fits(x, log_x):
            parts.append(_vertical(across.place(x), label))
    for one, points, colour in zip(series, shown, _colours(series), strict=True):
        best = one.points[one.best] if one.best is not None and one.points else None
        parts += _line(one, points, colour, across, upward, best)
    return "".join(parts) + "</svg>"


def number(value: float) -> str:
    """A number as axes and titles show it: four digits, no more zeros than needed."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    if abs(value) >= 100_000 or abs(value) < 0.001:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers (steps of 1, 2 or 5 times a power of ten) from `low` to `high`, at most so many."""
    if not low < high:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10, 20) if (high - low) / (size * power) <= most - 1)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten from `low` to `high`; with 2 and 5 times them where they are few, every other where they are many.

    Args:
        low, high: above 0.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = range(first, last + 1, max(1, (last - first) // 6))
    between = (1, 2, 5) if last - first <= 2 else (1,)
    found = [size * 10.0**power for power in powers for size in between]
    return [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)] or [low, high]


@dataclass(frozen=True)
class _Axis:
    """From values to places in the drawing."""

    low: float
    high: float
    log: bool
    begin: float
    end: float
    whole: bool = False

    @classmethod
    def of(
        cls, values: Sequence[float], log: bool, begin: float, end: float, *, padded: bool = False, whole: bool = False
    ) -> _Axis:
        low, high = min(values), max(values)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10)
        elif padded and not log:
            low, high = low - (high - low) * 0.04, high + (high - low) * 0.04
        return cls(low, high, log, begin, end, whole)

    def place(self, value: float) -> float:
        low, high, at = (math.log10(one) if self.log else one for one in (self.low, self.high, value))
        return self.begin + (self.end - self.begin) * (at - low) / (high - low)

    def ticks(self) -> list[float]:
        found = log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high)
        return [value for value in found if not self.whole or value == round(value)]


def _fits(value: float, log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not log)


def _colours(series: Sequence[Series]) -> list[str]:
    return [one.colour or COLOURS[index % len(COLOURS)] for index, one in enumerate(series)]


def _grid(across: _Axis, upward: _Axis, x_label: str, y_label: str) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = ['<g stroke="currentColor" stroke-opacity=".15">']
    parts += [f'<path d="M{_LEFT} {upward.place(y):.1f}H{right}"/>' for y in upward.ticks()]
    parts += [f'</g><path d="M{_LEFT} {bottom}H{right}" stroke="currentColor" stroke-opacity=".5"/>']
    parts += [f'<text x="{_LEFT - 6}" y="{upward.place(y) + 5:.1f}" text-anchor="end">{number(y)}</text>'
              for y in upward.ticks()]  # fmt: skip
    parts += [f'<text x="{across.place(x):.1f}" y="{bottom + 18}" text-anchor="middle">{number(x)}</text>'
              for x in across.ticks()]  # fmt: skip
    if x_label:
        parts.append(f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    if y_label:
        middle = (_TOP + bottom) / 2
        parts.append(f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">'
                     f"{escape(y_label)}</text>")  # fmt: skip
    return parts


def _vertical(x: float, label: str) -> str:
    is_right = x > (_LEFT + _WIDTH - _RIGHT) / 2
    place, anchor = (x - 4, "end") if is_right else (x + 4, "start")
    return (f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="currentColor" stroke-dasharray="4 3" '
            f'stroke-opacity=".7"/><text x="{place:.1f}" y="{_TOP + 12}" text-anchor="{anchor}">'
            f"{escape(label)}</text>")  # fmt: skip


def _line(
    series: Series, points: list[tuple[float, float]], colour: str, across: _Axis, upward: _Axis,
    best: tuple[float, float] | None,
) -> list[str]:  # fmt: skip
    if not points:
        return []
    places = [(across.place(x), upward.place(y)) for x, y in _thinned(points, _MOST_POINTS)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dashes = ' stroke-dasharray="6 4"' if series.dashed else ""
    shade = escape(colour)
    parts = [f'<path d="M{path}" fill="none" stroke="{shade}" stroke-width="2" stroke-linejoin="round"{dashes}/>']
    dots = _thinned(points, _MOST_DOTS)
    seen = len(points) <= 20  # few: visible dots; many: they only answer the pointer
    for x, y in dots:
        title = f"{series.name}: {number(y)} at {number(x)}"
        parts.append(f'<circle cx="{across.place(x):.1f}" cy="{upward.place(y):.1f}" r="{3 if seen else 7}" '
                     f'fill="{shade}" fill-opacity="{1 if seen else 0}"><title>{escape(title)}</title>'
                     "</circle>")  # fmt: skip
    if best is not None and best in points:
        parts.append(f'<circle cx="{across.place(best[0]):.1f}" cy="{upward.place(best[1]):.1f}" r="6" fill="none" '
                     f'stroke="{shade}" stroke-width="2"><title>best: {number(best[1])}</title></circle>')  # fmt: skip
    return parts


def _thinned(points: list[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most about so many: of each stretch its lowest and highest point, so that no peak is lost."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / (most // 2))
    kept: list[tuple[float, float]] = []
    for begin in range(0, len(points), size):
        part = points[begin : begin + size]
        kept += sorted({min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])})
    return kept
