"""The charts that take a line of their own: from one total to the next, and weeks beside months."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from markupsafe import Markup

from reports.charts.marks import (
    ACTUAL,
    INK,
    MEAN,
    MUTED,
    PREVIOUS,
    RULE,
    Scale,
    Value,
    dot,
    fit,
    line,
    real,
    rect,
    ring,
    runs,
    stretches,
    svg,
    text_mark,
    text_width,
)

# A bridge is cut where both totals and all between them are higher than this share of the highest level:
# its contributions would else be slivers beside two tall bars.
_CUT_ABOVE = 0.55


def bridge(
    key: str,
    title: str,
    finding: str,
    steps: Sequence[tuple[str, Value]],
    *,
    figure: Callable[[Decimal], str],
    signed: Callable[[Decimal], str],
) -> Markup:
    """From the first total over what was added and taken to the last total; the caller's steps add up.

    A step that is not known keeps its place and says so. The scale starts at 0, or the picture says where.
    """
    width, height, top, bottom = 660.0, 134.0, 16.0, 100.0
    bars = _steps(steps)
    ends = [end for bar in bars if bar is not None for end in bar if end != 0.0]
    base = _base(ends)
    y = Scale(min([base, *ends]), max([base, *ends]), bottom, top)
    column = width / max(len(steps), 1)
    marks = [line(0, y(base), width, y(base), RULE, "c-rule", 0.8)]
    joint: tuple[float, float] | None = None  # the right edge of the bar before, and where it ended
    for index, ((label, source), bar) in enumerate(zip(steps, bars, strict=True)):
        left, middle, deep = (index + 0.16) * column, (index + 0.5) * column, 0.68 * column
        marks.append(text_mark((middle, bottom + 14), fit(label, column, 10), 10, "middle"))
        if bar is None:
            marks.append(text_mark((middle, y(base) - 4), fit("not known", column, 10), 10, "middle"))
            joint = None
            continue
        start, end = bar
        if joint is not None:
            marks.append(line(joint[0], y(joint[1]), left, y(joint[1]), MUTED, "c-text", 0.6))
        upper, lower = y(max(start, end)), y(min(start, end))
        upper = min(upper, lower - 0.8)  # a contribution of nothing is still a step
        is_total = index in (0, len(steps) - 1)
        is_grey = index == 0 or (not is_total and end < start)
        colour, css = (PREVIOUS, "c-previous") if is_grey else (ACTUAL, "c-actual")
        marks.append(rect(left, upper, deep, lower - upper, colour, css))
        printed = (figure if is_total else signed)(Decimal(str(source)))
        marks.append(text_mark((middle, upper - 4), fit(printed, column, 10), 10, "middle", INK, "c-ink"))
        joint = (left + deep, end)
    if base > 0:
        note = f"scale starts at {figure(Decimal(str(base)))}"
        marks.append(text_mark((0, height - 6), fit(note, width, 10), 10))
    return svg(key, title, finding, width, height, marks, "bridge")


def _steps(steps: Sequence[tuple[str, Value]]) -> list[tuple[float, float] | None]:
    """Where each step's bar starts and ends; None where one of the two is not known."""
    bars: list[tuple[float, float] | None] = []
    level: float | None = None
    for index, (_, source) in enumerate(steps):
        number = real(source)
        if index in (0, len(steps) - 1):
            bars.append(None if number is None else (0.0, number))
            level = number
        elif number is None or level is None:
            # what comes after an unknown step stands nowhere until the last total
            bars.append(None)
            level = None
        else:
            bars.append((level, level + number))
            level += number
    return bars


def _base(ends: Sequence[float]) -> float:
    """Where the scale starts: at 0, or at a round number below all levels when they are close together."""
    lowest, highest = min(ends, default=0.0), max(ends, default=0.0)
    if lowest <= _CUT_ABOVE * highest or lowest <= 0 or lowest == highest:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(highest - lowest))
    base = round(math.floor((lowest - (highest - lowest) * 0.35) / unit) * unit, 12)
    return base if 0 < base < lowest else 0.0


Trend = Sequence[tuple[str, Value, Value]]


def six_twelve(
    key: str,
    title: str,
    finding: str,
    weeks: Trend,
    months: Trend,
    *,
    figure: Callable[[Decimal], str],
) -> Markup:
    """Six weeks and twelve months side by side, each on its own scale from 0; dashed is a year earlier.

    Each point is (label, value, value a year earlier). A missing one stays a gap, with a ring on the ground
    line. Printed are the last, the highest, the first and the lowest value, as far as they do not collide.
    """
    width, height = 340.0, 122.0
    marks = [*_panel(weeks, 0.0, 118.0, "weeks", figure), *_panel(months, 134.0, width, "months", figure)]
    return svg(key, title, finding, width, height, marks, "six-twelve")


_TOP, _GROUND = 28.0, 101.0


def _panel(
    points: Trend, left: float, right: float, noun: str, figure: Callable[[Decimal], str]
) -> list[Markup]:
    values = [real(value) for _, value, _ in points]
    before = [real(value) for _, _, value in points]
    marks = [line(left, _GROUND, right, _GROUND, RULE, "c-rule", 0.8)]
    if not any(value is not None for value in values):
        marks.append(
            text_mark(((left + right) / 2, 62), fit(f"no {noun} yet", right - left, 10), 10, "middle")
        )
        return marks
    known = [value for value in (*values, *before) if value is not None]
    # from zero, so that a steady figure looks steady; below it only where figures are
    y = Scale(min(0.0, *known), max(0.0, *known), _GROUND - 4, _TOP)
    x = Scale(0, max(len(points) - 1, 1), left + 8, right - 8)
    for run in stretches(before, x, y):
        for (x1, y1), (x2, y2) in pairwise(run):
            marks.append(line(x1, y1, x2, y2, PREVIOUS, "c-previous", 1.1, dash="3 2"))
        if len(run) == 1:
            marks.append(ring(*run[0], 1.6, MEAN, "c-mean"))
    marks += runs(values, x, y, 1.5, radius=1.7)
    marks += [
        ring(x(index), _GROUND, 2, MEAN, "c-mean") for index, value in enumerate(values) if value is None
    ]
    if values[-1] is not None:
        marks.append(dot(x(len(values) - 1), y(values[-1]), 2.6, ACTUAL, "c-actual"))
    drawn = [pair for series in (values, before) for run in stretches(series, x, y) for pair in pairwise(run)]
    marks += _figures(points, values, x, y, (left, right), figure, drawn)
    for index in sorted({0, len(points) - 1}):
        anchor = "start" if index == 0 and len(points) > 1 else "end"
        at = left if anchor == "start" else right
        label = fit(points[index][0], (right - left) / 2 - 4, 10)
        marks.append(text_mark((at, _GROUND + 16), label, 10, anchor))
    return marks


@dataclass(frozen=True, slots=True)
class _Box:
    """The place of a printed figure."""

    left: float
    right: float
    base: float

    @property
    def top(self) -> float:
        return self.base - 8

    def touches(self, other: _Box) -> bool:
        across = self.left < other.right + 3 and other.left < self.right + 3
        return across and self.top < other.base + 1 and other.top < self.base + 1

    def is_crossed(self, start: tuple[float, float], end: tuple[float, float]) -> bool:
        """Whether a line passes through, looked at in steps of two units."""
        steps = max(int(abs(end[0] - start[0]) / 2), 1)
        shares = (step / steps for step in range(steps + 1))
        way = ((start[0] + (end[0] - start[0]) * s, start[1] + (end[1] - start[1]) * s) for s in shares)
        return any(self.left <= x <= self.right and self.top <= y <= self.base for x, y in way)


def _figures(
    points: Trend,
    values: Sequence[float | None],
    x: Scale,
    y: Scale,
    across: tuple[float, float],
    figure: Callable[[Decimal], str],
    drawn: Sequence[tuple[tuple[float, float], tuple[float, float]]],
) -> list[Markup]:
    """The figures worth printing, each above or below its point where it hides least.

    One that would touch another is left out; the last is told first, so it is always there.
    """
    known = [(value, index) for index, value in enumerate(values) if value is not None]
    wanted = (known[-1], max(known), known[0], min(known))
    placed: list[_Box] = []
    marks = []
    for value, index in dict.fromkeys(wanted):
        printed = fit(figure(Decimal(str(points[index][1]))), (across[1] - across[0]) / 2, 10)
        room = text_width(printed, 10)
        boxes = [
            _Box(left, left + room, base)
            for base in (y(value) - 5, y(value) + 13, y(value) - 11, y(value) - 18)
            for left in (
                min(max(x(index) - room * share, across[0]), across[1] - room) for share in (0.5, 0.15, 0.85)
            )
            if base >= 9 and base <= _GROUND - 2
        ]
        free = [box for box in boxes if not any(box.touches(other) for other in placed)]
        if free:
            best = min(free, key=lambda box: sum(box.is_crossed(start, end) for start, end in drawn))
            placed.append(best)
            marks.append(text_mark((best.left, best.base), printed, 10, "start", INK, "c-ink"))
    return marks
