"""A metric over its weeks: word-sized for a table, and as a process behaviour chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from markupsafe import Markup

from reports.charts.marks import (
    MEAN,
    Scale,
    Value,
    apart,
    band,
    domain,
    end_mark,
    fit,
    line,
    real,
    ring,
    runs,
    svg,
    text_mark,
    ticks,
)


def sparkline(
    key: str,
    title: str,
    finding: str,
    values: Sequence[Value],
    *,
    lower: Value = None,
    upper: Value = None,
    mean: Value = None,
    tone: str = "none",
    is_signal: bool = False,
) -> Markup:
    """A word-sized line with the normal band; the last point is marked, a diamond when it is a signal."""
    width, height, pad = 96.0, 20.0, 4.0
    series = [real(value) for value in values]
    low, mid, high = real(lower), real(mean), real(upper)
    y = domain([*series, low, high], height - pad, pad)
    x = Scale(0, max(len(series) - 1, 1), pad, width - pad)
    marks = []
    if low is not None and high is not None:
        marks.append(band(0, width, y(high), y(low)))
    if mid is not None:
        marks.append(line(0, y(mid), width, y(mid), MEAN, "c-mean", 0.7, dash="2 2"))
    marks += runs(series, x, y, 1.3, radius=0.0)
    if series and series[-1] is not None:
        marks.append(end_mark(x(len(series) - 1), y(series[-1]), 2.4, tone, is_signal))
    return svg(key, title, finding, width, height, marks, "spark")


def process_chart(
    key: str,
    title: str,
    finding: str,
    values: Sequence[Value],
    labels: Sequence[str],
    *,
    lower: Value = None,
    upper: Value = None,
    mean: Value = None,
    tone: str = "none",
    is_signal: bool = False,
    figure: Callable[[Decimal], str],
    width: float = 240.0,
) -> Markup:
    """A process behaviour chart: weeks, mean, natural limits as a band, the lines labelled at the right.

    A missing week is a gap with a ring on the ground.
    """
    height, left, right, top, bottom = 132.0, 7.0, width - 52, 8.0, 112.0
    series = [real(value) for value in values]
    low, mid, high = real(lower), real(mean), real(upper)
    y = domain([*series, low, high], bottom, top)
    x = Scale(0, max(len(series) - 1, 1), left, right - 7)
    marks = []
    if low is not None and high is not None:
        marks.append(band(0, right, y(high), y(low)))
        for limit in (high, low):
            marks.append(line(0, y(limit), right, y(limit), MEAN, "c-mean", 0.8))
    if mid is not None:
        marks.append(line(0, y(mid), right, y(mid), MEAN, "c-mean", 0.8, dash="3 2"))
    marks += runs(series, x, y, 1.6, radius=1.9)
    if series and series[-1] is not None:
        marks.append(end_mark(x(len(series) - 1), y(series[-1]), 4.2 if is_signal else 2.8, tone, is_signal))
    if any(value is not None for value in series):
        marks += [
            ring(x(index), bottom, 2, MEAN, "c-mean") for index, value in enumerate(series) if value is None
        ]
    else:
        marks.append(text_mark((right / 2, (top + bottom) / 2), "no figures in these weeks", 10, "middle"))
    # limits that are the mean are one line, and one label
    lines = {
        y(limit): figure(Decimal(str(source)))
        for limit, source in ((high, upper), (mid, mean), (low, lower))
        if limit is not None
    }
    for position, printed in zip(apart(list(lines), 11.5, top, bottom), lines.values(), strict=True):
        marks.append(text_mark((right + 4, position + 3.6), fit(printed, width - right - 4, 10), 10))
    for index in ticks(len(series)):
        anchor = "start" if index == 0 else "end" if index == len(series) - 1 else "middle"
        at = 0.0 if index == 0 else right if index == len(series) - 1 else x(index)
        marks.append(text_mark((at, height - 5), fit(labels[index], 60, 10), 10, anchor))
    return svg(key, title, finding, width, height, marks, "process")
