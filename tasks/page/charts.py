"""Charts of the report as inline SVG: no colours of their own (the page's style sheet has them, light and dark), no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

LEVELS = 7  # steps of the colour ramp, classes r0 (low) to r6 (high)

_WIDTH, _HEIGHT = 580, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 150, 30, 46
_LABEL_GAP = 15


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Args:
        name: written at the line's end.
        x, y: its points; a guide needs only one y.
        style: "main", "other", "guide" (a level across the whole chart), "guide main" (one in the main line's colour), or "points main"
            (dots that no line joins, and no name).
        note: added to the label, as "$0.31 in all".
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "other"
    note: str = ""

    @property
    def level(self) -> bool:
        return self.style.startswith("guide")

    @property
    def joined(self) -> bool:
        return not self.style.startswith("points")


@dataclass(frozen=True)
class Label:
    """A text on the cluster map, at a position in the data's units."""

    x: float
    y: float
    text: str


def level(value: float, low: float, high: float) -> int:
    """Step of the colour ramp for a value between `low` and `high`."""
    share = (value - low) / (high - low) if high > low else 1.0
    return int(min(LEVELS - 1, max(0, math.floor(share * LEVELS))))


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) inside low..high."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
) -> Markup:
    """Lines over a common x, named at their ends.

    Args:
        series: at least one that is not a guide; the main one is drawn last, above the others.
        title: what a screen reader says.
        x_label, y_label: what the axes measure, with the unit.
        x_text, y_text: how a tick is written.
    """
    lines = [one for one in series if not one.level and len(one.x)]
    if not lines:
        return Markup("")
    x_low, x_high = _bounds([value for one in lines for value in one.x], 0.0)
    y_low, y_high = _bounds([value for one in series for value in one.y], 0.06)

    def across(value: float) -> float:
        return _LEFT + (value - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - y_low) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>').format(
            _WIDTH, _HEIGHT, title
        )
    ]
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts += [
        Markup(
            '<path class="grid" d="M{} {:.1f}H{}"/><text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        ).format(_LEFT, down(value), right, _LEFT - 8, down(value) + 4, y_text(value))
        for value in ticks(y_low, y_high)
    ]
    parts += [
        Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            across(value), bottom + 18, x_text(value)
        )
        for value in ticks(x_low, x_high)
    ]
    parts.append(
        Markup(
            '<path class="axis" d="M{} {}H{}"/><text class="label" x="{}" y="{}" text-anchor="middle">{}</text>'
            '<text class="label" x="{}" y="14">{}</text>'
        ).format(_LEFT, bottom, right, (_LEFT + right) / 2, _HEIGHT - 8, x_label, 4, y_label)
    )
    ends = []
    styles = _styles(series)
    for one, style in sorted(zip(series, styles, strict=True), key=lambda pair: pair[0].style == "main"):
        if not len(one.y):
            continue
        if one.level:
            points = f"M{_LEFT} {down(one.y[0]):.1f}H{right}"
        else:
            points = "M" + "L".join(
                f"{across(x):.1f} {down(y):.1f}" for x, y in zip(one.x, one.y, strict=True)
            )
        if one.joined:
            parts.append(Markup('<path class="line {}" d="{}"/>').format(style, points))
        if not one.level:
            parts.extend(
                Markup(
                    '<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}: {}, {}</title></circle>'
                ).format(
                    style,
                    across(x),
                    down(y),
                    3.4 if one.style == "main" else 2.2,
                    one.name,
                    x_text(x),
                    y_text(y),
                )
                for x, y in zip(one.x, one.y, strict=True)
            )
        if one.joined:
            ends.append((down(one.y[-1]), style, one))
    for y, (_, style, one) in zip(_spread([end[0] for end in ends]), ends, strict=True):
        parts.append(
            Markup('<text class="end {}" x="{}" y="{:.1f}">{}</text>').format(
                style, right + 10, y + 4, f"{one.name} {one.note}".strip()
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def cluster_map(
    x: np.ndarray, y: np.ndarray, levels: np.ndarray, labels: Sequence[Label], *, title: str
) -> Markup:
    """Documents as dots on a plane.

    Args:
        x, y: (n,) positions.
        levels: (n,) step of the colour ramp, -1 for a document that was not read.
        labels: names of places, most important first; each stands beside its place, where it covers the fewest dots,
            and one that would cover another is left out.
    """
    width, height, edge = 1000, 560, 14
    spread_x, spread_y = _range(x), _range(y)

    def place(values: np.ndarray, bounds: tuple[float, float], size: int) -> np.ndarray:
        share = np.clip((values - bounds[0]) / (bounds[1] - bounds[0]), 0, 1)
        return np.rint(edge + share * (size - 2 * edge)).astype(np.int64)

    across, down = place(x, spread_x, width), height - place(y, spread_y, height)
    parts = [
        Markup('<svg class="map" viewBox="0 0 {} {}" role="img"><title>{}</title>').format(
            width, height, title
        )
    ]
    for step in range(-1, LEVELS):
        # A dot is a line of no length with round ends, and dots that fall on one another are drawn once: the page
        # stays small however many documents there are.
        cells = np.unique(np.stack([across, down], axis=1)[levels == step], axis=0)
        dots = "".join(f"M{column} {row}h0" for column, row in cells.tolist())
        name = "unread" if step < 0 else f"r{step}"
        if dots:
            parts.append(Markup('<path class="dots {}" d="{}"/>').format(name, dots))
    taken: list[tuple[float, float, float]] = []
    for label in labels:
        half = 3.7 * len(label.text) + 6
        at = (
            float(place(np.array([label.x]), spread_x, width)[0]),
            float(height - place(np.array([label.y]), spread_y, height)[0]),
        )
        column, row = _beside(*at, half, across, down, (width, height))
        if any(abs(column - c) < half + h and abs(row - r) < 22 for c, r, h in taken):
            continue
        taken.append((column, row, half))
        parts.append(
            Markup('<text class="place" x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text>').format(
                column, row + 4, label.text
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _beside(
    column: float, row: float, half: float, across: np.ndarray, down: np.ndarray, size: tuple[int, int]
) -> tuple[float, float]:
    """Where a label of width 2 * half covers the fewest dots around its place: below or above it, or at a side."""
    places: list[tuple[int, int, float, float]] = []
    for right, low in (
        (0, -16),
        (0, 16),
        (half + 8, 0),
        (-half - 8, 0),
        (0, -32),
        (0, 32),
        (0, -48),
        (0, 48),
    ):
        x = min(max(column + right, half + 4), size[0] - half - 4)
        y = min(max(row + low, 14), size[1] - 14)
        covered = int(np.count_nonzero((np.abs(across - x) < half) & (np.abs(down - y) < 10)))
        places.append((covered, len(places), x, y))
    return min(places)[2:]


def _styles(series: Sequence[Series]) -> list[str]:
    """CSS classes of each line: main, or its kind and one of six other colours in turn."""
    styles, others = [], 0
    for one in series:
        main = one.style.endswith("main")
        styles.append(one.style if main else f"{one.style} s{others % 6}")
        others += not main
    return styles


def _bounds(values: Sequence[float], pad: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high <= low:
        margin = abs(low) * 0.05 or 1.0
        return low - margin, high + margin
    return low - (high - low) * pad, high + (high - low) * pad


def _range(values: np.ndarray) -> tuple[float, float]:
    """Where nearly all values are; a few outliers are drawn at the edge rather than squeeze the rest."""
    low, high = (float(value) for value in np.quantile(values, [0.003, 0.997]))
    return (low, high) if high > low else (low - 1.0, low + 1.0)


def _spread(positions: Sequence[float]) -> list[float]:
    """Positions of labels moved apart until none covers another, in the given order."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = [0.0] * len(positions)
    last = -math.inf
    for index in order:
        last = placed[index] = max(positions[index], last + _LABEL_GAP)
    limit = _HEIGHT - _BOTTOM + 8.0
    for index in reversed(order):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - _LABEL_GAP
    return placed
