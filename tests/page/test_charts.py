import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from tasks.page.charts import Label, Series, cluster_map, level, line_chart, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.47, 0.71, [0.5, 0.55, 0.6, 0.65, 0.7]),
        (3, 3, [3]),
        (0, 0.031, [0, 0.01, 0.02, 0.03]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_levels_cover_the_range_and_clip_outside_it():
    assert [level(value, 0, 1) for value in (-1, 0, 0.5, 0.999, 1, 2)] == [0, 0, 3, 6, 6, 6]
    assert level(5, 5, 5) == 6


def chart(*series):
    return line_chart(series, title="t", x_label="x", y_label="y", x_text=str, y_text=str)


def test_lines_go_through_their_points_and_labels_do_not_cover_each_other():
    names = [f"strategy {number} <b>" for number in range(6)]
    svg = ElementTree.fromstring(
        chart(*(Series(name, [0, 1, 2], [1, 2, 3 + i / 100]) for i, name in enumerate(names)))
    )
    ends = [node for node in svg.iter("text") if node.get("class").startswith("end")]
    assert {node.text for node in ends} == set(names)
    heights = sorted(float(node.get("y")) for node in ends)
    assert min(np.diff(heights)) >= 14.9
    dots = list(svg.iter("circle"))
    assert len(dots) == 18
    first = [float(node.get("cy")) for node in dots[:3]]
    assert first == sorted(first, reverse=True)  # larger is higher
    x = [float(node.get("cx")) for node in dots[:3]]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)


def test_one_point_and_no_point_are_drawn_without_dividing_by_zero():
    assert "<circle" in chart(Series("one", [0.5], [2.0], "main"))
    assert chart() == ""
    assert chart(Series("level", [], [1.0], "guide")) == ""


def test_map_draws_every_place_once_and_leaves_out_covering_labels():
    x, y = np.array([0.0, 0.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 2.0])
    labels = [Label(1, 1, "first"), Label(1.001, 1.001, "covering"), Label(0, 0, "<i>far</i>")]
    svg = ElementTree.fromstring(cluster_map(x, y, np.array([-1, -1, 0, 6]), labels, title="m"))
    dots = {node.get("class"): node.get("d").count("M") for node in svg.iter("path")}
    assert dots == {"dots unread": 1, "dots r0": 1, "dots r6": 1}
    assert [node.text for node in svg.iter("text")] == ["first", "<i>far</i>"]


def test_a_label_stands_beside_its_place_where_no_dots_are():
    x, y = np.array([0.0, *np.linspace(4, 6, 40), 10.0]), np.array([0.0, *np.linspace(4.9, 5.3, 40), 10.0])
    svg = ElementTree.fromstring(
        cluster_map(x, y, np.full(len(x), -1), [Label(5, 5.1, "7  name")], title="m")
    )
    (dots,), (label,) = svg.iter("path"), svg.iter("text")
    half, column, row = 3.7 * 7, float(label.get("x")), float(label.get("y")) - 4
    places = [tuple(map(int, dot.removesuffix("h0").split())) for dot in dots.get("d").split("M")[1:]]
    assert len(places) == len(x)
    assert not [(a, b) for a, b in places if abs(a - column) < half and abs(b - row) < 10]
