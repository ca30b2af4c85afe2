"""Bars and marks in the rows of a table, on a scale that the table shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from markupsafe import Markup

from reports.charts.marks import (
    ACTUAL,
    INK,
    MUTED,
    PREVIOUS,
    RULE,
    TONES,
    Scale,
    Value,
    bar_length,
    dot,
    fit,
    line,
    log_place,
    real,
    rect,
    svg,
    text_mark,
)


def bar_pair(
    key: str,
    title: str,
    finding: str,
    value: Value,
    previous: Value,
    *,
    maximum: Value,
    width: float = 120.0,
) -> Markup:
    """This period's bar over the previous one's thinner bar, from 0, on a scale shared by the table."""
    height = 13.0
    x = Scale(0, real(maximum) or 0, 0, width)
    marks = [line(0.4, 0, 0.4, height, RULE, "c-rule", 0.8)]
    now, before = real(value), real(previous)
    if now is not None and now > 0:
        marks.append(rect(0, 2, bar_length(x, now), 6, ACTUAL, "c-actual"))
    if before is not None and before > 0:
        marks.append(rect(0, 8.6, bar_length(x, before), 2.4, PREVIOUS, "c-previous"))
    return svg(key, title, finding, width, height, marks, "bar")


def bars(
    key: str,
    title: str,
    finding: str,
    rows: Sequence[tuple[str, Value, Value]],
    *,
    figure: Callable[[Decimal], str],
) -> Markup:
    """Sorted horizontal bars with the previous period's thinner bar, labelled directly; the caller sorts."""
    width, step, label_width, figure_width = 340.0, 19.0, 110.0, 64.0
    known = [number for _, now, before in rows for number in (real(now), real(before)) if number is not None]
    x = Scale(0, max([0.0, *known]), label_width, width - figure_width)
    marks = []
    for index, (name, now, before) in enumerate(rows):
        top = index * step
        marks.append(text_mark((0, top + 11), fit(name, label_width - 6, 10), 10))
        for value, offset, depth, colour, css in (
            (now, 2, 8, ACTUAL, "c-actual"),
            (before, 10.8, 3, PREVIOUS, "c-previous"),
        ):
            number = real(value)
            if number is not None and number > 0:
                marks.append(rect(label_width, top + offset, x(number) - label_width, depth, colour, css))
        printed = "not known" if real(now) is None else figure(Decimal(str(now)))
        marks.append(
            text_mark((width, top + 11), fit(printed, figure_width - 4, 10), 10, "end", INK, "c-ink")
        )
    return svg(key, title, finding, width, max(step * len(rows), step), marks, "bars")


def contribution(
    key: str,
    title: str,
    finding: str,
    value: Value,
    *,
    extent: Value,
    width: float = 90.0,
) -> Markup:
    """One bar left or right of zero: what one part added to, or took from, a change."""
    height, middle = 11.0, width / 2
    number, reach = real(value), abs(real(extent) or 0)
    x = Scale(-reach, reach, 0, width)
    marks = []
    if number is not None and number != 0 and reach > 0:
        edge = x(number)
        css, colour = ("c-actual", ACTUAL) if number > 0 else ("c-previous", PREVIOUS)
        marks.append(rect(min(edge, middle), 2, max(abs(edge - middle), 0.6), 7, colour, css))
    marks.append(line(middle, 0, middle, height, MUTED, "c-text", 0.8))
    return svg(key, title, finding, width, height, marks, "contribution")


def bullet(
    key: str,
    title: str,
    finding: str,
    share: Value,
    *,
    marker: Value = None,
    tone: str = "none",
    width: float = 130.0,
) -> Markup:
    """A share of a whole: one bar on shades of one hue (to 50, 80 and 100 %), with one comparison tick."""
    height = 13.0
    x = Scale(0, 1, 0, width)
    marks = [
        rect(0, 1, width, 11, "#eaeef2", "c-band"),
        rect(0, 1, x(0.8), 11, "#dde3e9", "c-band2"),
        rect(0, 1, x(0.5), 11, "#d0d7de", "c-band3"),
    ]
    used, tick = real(share), real(marker)
    if used is not None and used > 0:
        css = {"bad": "c-bad", "good": "c-good"}.get(tone, "c-actual")
        marks.append(rect(0, 4, max(x(used), 0.6), 5, TONES.get(tone, ACTUAL), css))
    if tick is not None:
        at = min(max(x(tick), 0.9), width - 0.9)
        marks.append(line(at, 2, at, 11, INK, "c-ink", 1.6))
    return svg(key, title, finding, width, height, marks, "bullet")


def spread(
    key: str,
    title: str,
    finding: str,
    p50: Value,
    p95: Value,
    p99: Value,
    *,
    minimum: Value,
    maximum: Value,
    width: float = 150.0,
) -> Markup:
    """Three percentiles on a logarithmic scale shared by the table: dot at p50, line to p95, tick at p99."""
    height, middle = 13.0, 6.5
    low, high, *numbers = (log_place(value) for value in (minimum, maximum, p50, p95, p99))
    x = Scale(low or 0.0, high or 0.0, 3.5, width - 3)
    at = [None if number is None else x(number) for number in numbers]
    marks = [line(0, middle, width, middle, RULE, "c-rule", 0.7)]
    first, second, third = at
    if second is not None and third is not None:
        marks.append(line(second, middle, third, middle, PREVIOUS, "c-previous", 1.2))
    if first is not None and second is not None:
        marks.append(line(first, middle, second, middle, ACTUAL, "c-actual-line", 4))
    if third is not None:
        marks.append(line(third, 2.5, third, height - 2.5, PREVIOUS, "c-previous", 1.4))
    if first is not None:
        marks.append(dot(first, middle, 3, ACTUAL, "c-actual"))
    return svg(key, title, finding, width, height, marks, "spread")
