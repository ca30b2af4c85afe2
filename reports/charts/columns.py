"""A measure day by day: one column for each day, today's outlined, a day that is not known marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from reports.charts.marks import (
    ACTUAL,
    BAD,
    MEAN,
    PREVIOUS,
    RULE,
    Scale,
    Value,
    coordinate,
    fit,
    line,
    real,
    rect,
    ring,
    svg,
    text_mark,
    ticks,
)


@dataclass(frozen=True, slots=True)
class Column:
    """One day: its value, and the part of it that is bad (drawn from the ground up)."""

    label: str
    value: Value
    bad_part: Value = None
    # before the period that the chart is about
    is_before: bool = False
    # not over yet: outlined
    is_open: bool = False


def columns(
    key: str,
    title: str,
    finding: str,
    days: Sequence[Column],
    *,
    figure: Callable[[Decimal], str],
    width: float = 340.0,
) -> Markup:
    """Columns from 0 with the highest value written at its line; a day that is not known is a ring."""
    height, right, top, bottom = 128.0, width - 46.0, 10.0, 106.0
    values = [real(day.value) for day in days]
    highest = max((value for value in values if value is not None), default=0.0)
    y = Scale(0, highest, bottom, top)
    step = right / max(len(days), 1)
    breadth = max(step * 0.68, 1.0)
    marks = [line(0, bottom, right, bottom, RULE, "c-rule", 0.8)]
    if highest > 0:
        marks.append(line(0, top, right, top, RULE, "c-rule", 0.8, dash="2 2"))
        source = max(
            (day.value for day, value in zip(days, values, strict=True) if value == highest), key=_exact
        )
        label = figure(_exact(source))
        marks.append(text_mark((right + 4, top + 3.6), fit(label, width - right - 4, 10), 10))
        marks.append(text_mark((right + 4, bottom + 3.6), fit(figure(Decimal(0)), width - right - 4, 10), 10))
    for index, (day, value) in enumerate(zip(days, values, strict=True)):
        left = step * index + (step - breadth) / 2
        if value is None:
            marks.append(ring(left + breadth / 2, bottom, min(2.0, breadth / 2), MEAN, "c-mean"))
        elif value > 0:
            marks += _column(left, breadth, bottom, bottom - y(value), day)
            bad = real(day.bad_part)
            if bad is not None and bad > 0:
                depth = max(bottom - y(min(bad, value)), 0.6)
                marks.append(rect(left, bottom - depth, breadth, depth, BAD, "c-bad"))
    if all(value is None for value in values):
        marks.append(text_mark((right / 2, (top + bottom) / 2), "no figures of these days", 10, "middle"))
    for index in ticks(len(days)):
        anchor = "start" if index == 0 else "end" if index == len(days) - 1 else "middle"
        at = 0.0 if index == 0 else right if index == len(days) - 1 else step * (index + 0.5)
        marks.append(text_mark((at, height - 6), fit(days[index].label, 90, 10), 10, anchor))
    return svg(key, title, finding, width, height, marks, "columns")


def _column(left: float, breadth: float, bottom: float, depth: float, day: Column) -> list[Markup]:
    depth = max(depth, 0.6)
    colour, css = (PREVIOUS, "c-previous") if day.is_before else (ACTUAL, "c-actual")
    if not day.is_open:
        return [rect(left, bottom - depth, breadth, depth, colour, css)]
    inset = min(0.6, breadth / 2, depth / 2)
    return [
        Markup(
            '<rect x="{}" y="{}" width="{}" height="{}" fill="none" stroke="{}" stroke-width="1.2" '
            'class="c-outline"/>'
        ).format(
            coordinate(left + inset),
            coordinate(bottom - depth + inset),
            coordinate(breadth - 2 * inset),
            coordinate(depth - 2 * inset),
            ACTUAL,
        )
    ]


def _exact(value: Value) -> Decimal:
    return Decimal(str(value))
