import math
import xml.etree.ElementTree as ET

import pytest

from genolm.report.chart import HEIGHT, MOST_POINTS, WIDTH, Line, draw_lines, ticks


def svg(html):
    return ET.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])


def drawn(html):
    for polyline in svg(html).iter("polyline"):
        yield [tuple(map(float, pair.split(","))) for pair in polyline.get("points").split()]


def test_points_keep_their_order_and_stay_inside():
    lines = [Line("a", [(0, 3.0), (5, 1.0), (10, 2.0)]), Line("b", [(0, 2.0), (10, 2.0)], True)]
    first, second = drawn(draw_lines(lines, "step", "loss"))
    assert [x for x, _ in first] == sorted(x for x, _ in first)
    assert first[1][1] > first[2][1] > first[0][1]  # downwards in SVG is less
    assert second[0][1] == second[1][1] == first[2][1]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in first + second)


def test_numbers_that_are_none_are_left_out_and_long_lines_thinned():
    html = draw_lines([Line("a", [(0, math.nan), (1, 1.0), (2, math.inf), (3, 2.0)])], "x", "y")
    assert [len(points) for points in drawn(html)] == [2]
    many = Line("a", [(i, float(i)) for i in range(10 * MOST_POINTS + 7)])
    points = many.finite()
    assert len(points) <= MOST_POINTS + 1
    assert points[0] == (0, 0.0)
    assert points[-1] == many.points[-1]


def test_one_point_and_equal_points_can_be_drawn():
    assert "circle" in draw_lines([Line("a", [(1, 2.0)])], "x", "y")
    assert list(drawn(draw_lines([Line("a", [(1, 0.0), (2, 0.0)])], "x", "y")))
    assert draw_lines([Line("a", [])], "x", "y") == "<p>nothing was logged</p>"


def test_a_high_beginning_does_not_flatten_the_rest():
    points = [(0, 100.0), (1, 50.0), *((i, 2.0 - i / 100) for i in range(2, 100))]
    (line,) = drawn(draw_lines([Line("loss", points)], "x", "y"))
    assert line[0][1] == line[1][1] == min(y for _, y in line) >= 0
    assert line[-1][1] - line[5][1] > HEIGHT / 4


def test_names_are_escaped():
    lines = [Line("<b>&", [(1, 2.0)]), Line("plain", [(1, 2.0)])]
    html = draw_lines(lines, "<x>", "<y>")
    assert "<b>" not in html
    assert "&lt;b&gt;&amp;" in html
    svg(html)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (1.8, 2.1, [1.8, 1.85, 1.9, 1.95, 2.0, 2.05, 2.1]),
        (-3, 3, [-3, -2, -1, 0, 1, 2, 3]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)
