"""Line charts as SVG that stands in an HTML page by itself: no script, no font, no other file."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 300
LEFT: Final = 64
RIGHT: Final = 16
TOP: Final = 12
BOTTOM: Final = 40
TICKS: Final = 6
MOST_POINTS: Final = 1000
USUAL: Final = 0.97
"""Share of the points that the vertical axis must hold; the rest may lie on its upper end."""
COLOURS: Final = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b83280", "#4a5568")


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: What stands in the legend.
        points: (x, y) in the order of x; those that are no finite numbers are left out.
        dashed: Whether it is something to compare with.
        dots: Whether the points are drawn by themselves, all of them within the chart.
    """

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    dots: bool = False

    def finite(self) -> list[tuple[float, float]]:
        """Return at most ``MOST_POINTS`` of the points that can be drawn, evenly spread."""
        known = [(x, y) for x, y in self.points if math.isfinite(x) and math.isfinite(y)]
        step = max(1, math.ceil(len(known) / MOST_POINTS))
        return known[::step] + known[-1:] * (len(known) % step != 1 and step > 1)


@dataclass(frozen=True)
class _Frame:
    """What a chart shows of the plane, in its own units."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def x(self, value: float) -> float:
        span = (self.high_x - self.low_x) or 1.0
        return LEFT + (value - self.low_x) / span * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        span = (self.high_y - self.low_y) or 1.0
        value = min(value, self.high_y)
        return HEIGHT - BOTTOM - (value - self.low_y) / span * (HEIGHT - TOP - BOTTOM)


def draw_lines(lines: Sequence[Line], x_label: str, y_label: str, *, whole: bool = False) -> str:
    """Return a chart of lines as an SVG element; a sentence where there is nothing to draw.

    Args:
        lines: With a legend under the chart, in this order.
        x_label: Under the horizontal axis.
        y_label: Along the vertical one.
        whole: Whether every point must lie within the chart; by default the few highest need not.
    """
    drawn = [(line, points) for line in lines if (points := line.finite())]
    if not drawn:
        return "<p>nothing was logged</p>"
    whole = whole or any(line.dots for line, _ in drawn)
    frame = _frame([point for _, points in drawn for point in points], whole=whole)
    body = [*_axes(frame, x_label, y_label)]
    legend = []
    for number, (line, points) in enumerate(drawn):
        colour = COLOURS[number % len(COLOURS)]
        body += _draw(line, points, frame, colour)
        mark = "&#9476;" if line.dashed else "&#9679;" if line.dots else "&#9472;"
        legend.append(f'<span style="color:{colour}">{mark} {escape(line.name)}</span>')
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label)}">'
        + "".join(body)
        + "</svg>"
    )
    caption = f"<figcaption>{' '.join(legend)}</figcaption>" if len(legend) > 1 else ""
    return f"<figure>{svg}{caption}</figure>"


def _draw(
    line: Line, points: Sequence[tuple[float, float]], frame: _Frame, colour: str
) -> Iterable[str]:
    if not line.dots:
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>'
    if line.dots or len(points) == 1:
        look = (
            f'r="2" fill="{colour}" fill-opacity="0.5"' if line.dots else f'r="3" fill="{colour}"'
        )
        for x, y in points:
            yield f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" {look}/>'


def _frame(points: Sequence[tuple[float, float]], *, whole: bool) -> _Frame:
    xs, ys = [x for x, _ in points], sorted(y for _, y in points)
    # The first steps of a training are often so high that nothing else could be told apart.
    usual = ys[int(USUAL * (len(ys) - 1))]
    if usual > ys[0] and not whole:
        ys = [ys[0], min(ys[-1], usual + (usual - ys[0]))]
    margin = 0.05 * (max(ys) - min(ys)) or 0.05 * abs(ys[0]) or 1.0
    return _Frame(min(xs), max(xs), min(ys) - margin, max(ys) + margin)


def _axes(frame: _Frame, x_label: str, y_label: str) -> Iterable[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    grid = 'stroke="#e2e8f0"'
    for value in ticks(frame.low_y, frame.high_y):
        y = frame.y(value)
        yield f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" {grid}/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    for value in ticks(frame.low_x, frame.high_x):
        x = frame.x(value)
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
    yield f'<line x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="#4a5568"/>'
    middle = (LEFT + right) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>'
    turned = f'transform="rotate(-90 14 {bottom / 2})"'
    yield f'<text x="14" y="{bottom / 2}" text-anchor="middle" {turned}>{escape(y_label)}</text>'


def ticks(low: float, high: float) -> list[float]:
    """Return a few round numbers from ``low`` to ``high``, 1, 2 or 5 times a power of 10 apart."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * TICKS >= span)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]
