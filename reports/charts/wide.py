"""The charts that take a line of their own: from one total to the next, and weeks beside months."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

from markupsafe import Markup

from reports.charts.marks import (
    ACTUAL,
    INK,
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
    runs,
    svg,
    text_mark,
)

# A bridge may begin above zero when its bars would else be slivers of two tall totals, and says so.
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
    """From the first total over what was added and taken to the last total; the caller's steps add up."""
    width, height, top, bottom = 660.0, 132.0, 16.0, 100.0
    known = [(label, number, source) for label, source in steps if (number := real(source)) is not None]
    bars: list[tuple[float, float]] = []
    level = 0.0
    for index, (_, number, _) in enumerate(known):
        if index in (0, len(known) - 1):
            bars.append((0.0, number))
            level = number
        else:
            bars.append((level, level + number))
            level += number
    ends = [end for pair in bars for end in pair if end != 0.0]
    lowest, highest = min([0.0, *ends]), max([0.0, *ends])
    base = lowest
    if lowest == 0.0 and ends and min(ends) > _CUT_ABOVE * highest:
        base = min(ends) - (highest - min(ends)) * 0.35
        base = max(base, 0.0)
    y = Scale(base, highest, bottom, top)
    step = width / max(len(known), 1)
    marks: list[Markup] = []
    for index, ((label, number, source), (start, end)) in enumerate(zip(known, bars, strict=True)):
        left, right = index * step + step * 0.16, (index + 1) * step - step * 0.16
        upper, lower = min(y(start), y(end)), max(y(start), y(end))
        is_total = index in (0, len(known) - 1)
        css, colour = ("c-actual", ACTUAL)
        if index == 0 or (not is_total and number < 0):
            css, colour = ("c-previous", PREVIOUS)
        marks.append(rect(left, upper, right - left, max(lower - upper, 0.8), colour, css))
        if index + 1 < len(known):
            marks.append(line(right, y(end), right + step * 0.32, y(end), MUTED, "c-text", 0.6))
        printed = (figure if is_total else signed)(Decimal(str(source)))
        middle = (left + right) / 2
        marks.append(text_mark((middle, upper - 4), fit(printed, step, 9), 9, "middle", INK, "c-ink"))
        marks.append(text_mark((middle, bottom + 14), fit(label, step, 9), 9, "middle"))
    marks.append(line(0, bottom, width, bottom, RULE, "c-rule", 0.8))
    if base > 0:
        note = f"scale starts at {figure(Decimal(str(round(base, 2))))}"
        marks.append(text_mark((0, height - 6), fit(note, width, 9), 9))
    return svg(key, title, finding, width, height, marks, "bridge")


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
    """Six weeks and twelve months side by side, each on its own scale, a dashed line a year earlier.

    Each point is (label, value, value a year earlier); a missing one stays a gap.
    """
    width, height = 340.0, 118.0
    marks = [
        *_panel(weeks, 0.0, 118.0, "Weeks", figure),
        *_panel(months, 134.0, width, "Months", figure),
    ]
    return svg(key, title, finding, width, height, marks, "six-twelve")


def _panel(
    points: Trend, left: float, right: float, name: str, figure: Callable[[Decimal], str]
) -> list[Markup]:
    top, bottom = 30.0, 94.0
    marks = [line(left, bottom + 6, right, bottom + 6, RULE, "c-rule", 0.8)]
    values = [real(value) for _, value, _ in points]
    before = [real(value) for _, _, value in points]
    known = [value for value in (*values, *before) if value is not None]
    if not any(value is not None for value in values):
        marks.append(
            text_mark(((left + right) / 2, 62), fit(f"no {name.lower()} yet", right - left, 9), 9, "middle")
        )
        return marks
    # from zero, so that a steady figure looks steady; below it only where figures are
    y = Scale(min(0.0, *known), max(0.0, *known), bottom, top)
    x = Scale(0, max(len(points) - 1, 1), left + 8, right - 8)
    earlier = [(x(index), y(value)) for index, value in enumerate(before) if value is not None]
    for (x1, y1), (x2, y2) in pairwise(earlier):
        marks.append(line(x1, y1, x2, y2, PREVIOUS, "c-previous", 1.1, dash="3 2"))
    marks += runs(values, x, y, 1.5, radius=1.7)
    marks += [
        dot(x(index), bottom + 6, 1.6, RULE, "c-rule-dot")
        for index, value in enumerate(values)
        if value is None
    ]
    marks += _figures(points, values, x, y, left, right, figure)
    for index in {0, len(points) - 1}:
        anchor = "start" if index == 0 and len(points) > 1 else "end"
        at = left if anchor == "start" else right
        marks.append(
            text_mark((at, bottom + 20), fit(points[index][0], (right - left) / 2 - 4, 9), 9, anchor)
        )
    return marks


def _figures(
    points: Trend,
    values: Sequence[float | None],
    x: Scale,
    y: Scale,
    left: float,
    right: float,
    figure: Callable[[Decimal], str],
) -> list[Markup]:
    """The first, the last and the extreme figures; of two that would touch, the later told one stays away."""
    there = [index for index, value in enumerate(values) if value is not None]
    extremes = [
        max(there, key=lambda index: values[index] or 0.0),
        min(there, key=lambda index: values[index] or 0.0),
    ]
    taken: list[tuple[float, float]] = []
    marks = []
    for index in dict.fromkeys([there[-1], extremes[0], there[0], extremes[1]]):
        printed = fit(figure(Decimal(str(points[index][1]))), (right - left) / 2, 9)
        half = len(printed) * 0.29 * 9
        middle = min(max(x(index), left + half), right - half)
        if any(middle - half < end + 4 and middle + half > start - 4 for start, end in taken):
            continue
        taken.append((middle - half, middle + half))
        value = values[index]
        assert value is not None
        marks.append(text_mark((middle, max(y(value) - 6, 9)), printed, 9, "middle", INK, "c-ink"))
    return marks
