"""The pictures of the reports: pure functions from figures to SVG.

Presentation attributes carry the light theme, which WeasyPrint and mail converters read; the class on
each mark lets a browser's CSS recolour it for dark mode. No `style=`, no CSS variables, no scripts, so a
strict content policy holds. Coordinates have two decimals and stay inside the view box; ids come from the
caller's key. Gaps are left as gaps.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

Value = Decimal | int | float | None

FONT = "Report Sans, DejaVu Sans, sans-serif"
ACTUAL, PREVIOUS, MEAN = "#24527a", "#7b8794", "#6e7781"
BAND, RULE, MUTED, INK = "#eaeef2", "#d0d7de", "#57606a", "#1b1f24"
BAD, GOOD = "#b3400a", "#0b5cad"
TONES = {"bad": BAD, "good": GOOD, "neutral": ACTUAL, "none": ACTUAL}


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of values to coordinates that never leaves its range."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high <= self.low:
            return (self.start + self.end) / 2
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


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
    series = [_real(value) for value in values]
    low, mid, high = _real(lower), _real(mean), _real(upper)
    y = _domain([*series, low, high], height - pad, pad)
    x = Scale(0, max(len(series) - 1, 1), pad, width - pad)
    marks = []
    if low is not None and high is not None:
        marks.append(_band(0, width, y(high), y(low)))
    if mid is not None:
        marks.append(_line(0, y(mid), width, y(mid), MEAN, "c-mean", 0.7, dash="2 2"))
    marks += _runs(series, x, y, 1.3, dot=0.0)
    if series and series[-1] is not None:
        marks.append(_end_mark(x(len(series) - 1), y(series[-1]), 2.4, tone, is_signal))
    return _svg(key, title, finding, width, height, marks, "spark")


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
) -> Markup:
    """A process behaviour chart: weeks, mean, natural limits as a band, the lines labelled at the right."""
    width, height, left, right, top, bottom = 240.0, 158.0, 7.0, 188.0, 8.0, 138.0
    series = [_real(value) for value in values]
    low, mid, high = _real(lower), _real(mean), _real(upper)
    y = _domain([*series, low, high], bottom, top)
    x = Scale(0, max(len(series) - 1, 1), left, right - 7)
    marks = []
    if low is not None and high is not None:
        marks.append(_band(0, right, y(high), y(low)))
        for limit in (high, low):
            marks.append(_line(0, y(limit), right, y(limit), MEAN, "c-mean", 0.8))
    if mid is not None:
        marks.append(_line(0, y(mid), right, y(mid), MEAN, "c-mean", 0.8, dash="3 2"))
    marks += _runs(series, x, y, 1.6, dot=1.9)
    if series and series[-1] is not None:
        marks.append(_end_mark(x(len(series) - 1), y(series[-1]), 4.2 if is_signal else 2.8, tone, is_signal))
    if not any(value is not None for value in series):
        marks.append(_text((right / 2, (top + bottom) / 2), "no figures in these weeks", 10, "middle"))
    lines = [
        (y(line), source) for line, source in ((high, upper), (mid, mean), (low, lower)) if line is not None
    ]
    for position, (_, source) in zip(
        _apart([line for line, _ in lines], 11.5, top, bottom), lines, strict=True
    ):
        marks.append(
            _text((right + 4, position + 3.6), _fit(figure(Decimal(str(source))), width - right - 4, 10), 10)
        )
    for index in _ticks(len(series)):
        anchor = "start" if index == 0 else "end" if index == len(series) - 1 else "middle"
        at = 0.0 if index == 0 else right if index == len(series) - 1 else x(index)
        marks.append(_text((at, height - 5), _fit(labels[index], 60, 10), 10, anchor))
    return _svg(key, title, finding, width, height, marks, "process")


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
    x = Scale(0, _real(maximum) or 0, 0, width)
    marks = [_line(0.4, 0, 0.4, height, RULE, "c-rule", 0.8)]
    now, before = _real(value), _real(previous)
    if now is not None and now > 0:
        marks.append(_rect(0, 2, _bar(x, now), 6, ACTUAL, "c-actual"))
    if before is not None and before > 0:
        marks.append(_rect(0, 8.6, _bar(x, before), 2.4, PREVIOUS, "c-previous"))
    return _svg(key, title, finding, width, height, marks, "bar")


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
    known = [
        number for _, now, before in rows for number in (_real(now), _real(before)) if number is not None
    ]
    x = Scale(0, max([0.0, *known]), label_width, width - figure_width)
    marks = []
    for index, (name, now, before) in enumerate(rows):
        top = index * step
        marks.append(_text((0, top + 11), _fit(name, label_width - 6, 10), 10))
        for value, offset, depth, colour, css in (
            (now, 2, 8, ACTUAL, "c-actual"),
            (before, 10.8, 3, PREVIOUS, "c-previous"),
        ):
            number = _real(value)
            if number is not None and number > 0:
                marks.append(_rect(label_width, top + offset, x(number) - label_width, depth, colour, css))
        printed = "not known" if _real(now) is None else figure(Decimal(str(now)))
        marks.append(_text((width, top + 11), _fit(printed, figure_width - 4, 10), 10, "end", INK, "c-ink"))
    return _svg(key, title, finding, width, max(step * len(rows), step), marks, "bars")


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
    number, reach = _real(value), abs(_real(extent) or 0)
    x = Scale(-reach, reach, 0, width)
    marks = []
    if number is not None and number != 0 and reach > 0:
        edge = x(number)
        css, colour = ("c-actual", ACTUAL) if number > 0 else ("c-previous", PREVIOUS)
        marks.append(_rect(min(edge, middle), 2, max(abs(edge - middle), 0.6), 7, colour, css))
    marks.append(_line(middle, 0, middle, height, MUTED, "c-text", 0.8))
    return _svg(key, title, finding, width, height, marks, "contribution")


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
        _rect(0, 1, width, 11, "#eaeef2", "c-band"),
        _rect(0, 1, x(0.8), 11, "#dde3e9", "c-band2"),
        _rect(0, 1, x(0.5), 11, "#d0d7de", "c-band3"),
    ]
    used, tick = _real(share), _real(marker)
    if used is not None and used > 0:
        css = {"bad": "c-bad", "good": "c-good"}.get(tone, "c-actual")
        marks.append(_rect(0, 4, max(x(used), 0.6), 5, TONES.get(tone, ACTUAL), css))
    if tick is not None:
        at = min(max(x(tick), 0.9), width - 0.9)
        marks.append(_line(at, 2, at, 11, INK, "c-ink", 1.6))
    return _svg(key, title, finding, width, height, marks, "bullet")


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
    low, high, *numbers = (_log(value) for value in (minimum, maximum, p50, p95, p99))
    x = Scale(low or 0.0, high or 0.0, 3.5, width - 3)
    at = [None if number is None else x(number) for number in numbers]
    marks = [_line(0, middle, width, middle, RULE, "c-rule", 0.7)]
    first, second, third = at
    if second is not None and third is not None:
        marks.append(_line(second, middle, third, middle, PREVIOUS, "c-previous", 1.2))
    if first is not None and second is not None:
        marks.append(_line(first, middle, second, middle, ACTUAL, "c-actual-line", 4))
    if third is not None:
        marks.append(_line(third, 2.5, third, height - 2.5, PREVIOUS, "c-previous", 1.4))
    if first is not None:
        marks.append(_dot(first, middle, 3, ACTUAL, "c-actual"))
    return _svg(key, title, finding, width, height, marks, "spread")


def _real(value: Value) -> float | None:
    """A number that can be drawn, or None; infinities and NaN cannot."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _log(value: Value) -> float | None:
    """The place of a non-negative number on a logarithmic scale that has room for 0."""
    number = _real(value)
    return None if number is None else math.log10(max(number, 0.0) + 1)


def _domain(values: Sequence[float | None], start: float, end: float) -> Scale:
    known = [value for value in values if value is not None]
    return Scale(min(known, default=0.0), max(known, default=0.0), start, end)


def _bar(x: Scale, value: float) -> float:
    """The length of a bar of a positive value: never so short that it looks like nothing."""
    return max(x(value), 0.6)


def _apart(positions: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Label positions in their order, at least `gap` apart, inside top and bottom."""
    placed: list[float] = []
    for position in positions:
        placed.append(max(position, placed[-1] + gap) if placed else max(position, top))
    limit = bottom
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    return placed


def _ticks(length: int) -> list[int]:
    return list(range(length)) if length <= 3 else [0, (length - 1) // 2, length - 1]


def _fit(text: str, width: float, size: float) -> str:
    """Text cut to a width, taking 0.58 em for each character, the mean of Inter's figures."""
    room = max(int(width / (0.58 * size)), 1)
    return text if len(text) <= room else text[: room - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _runs(series: Sequence[float | None], x: Scale, y: Scale, stroke: float, *, dot: float) -> list[Markup]:
    """One line for each unbroken run of weeks; a week alone is a dot, or it would not be seen."""
    marks: list[Markup] = []
    run: list[tuple[float, float]] = []
    for index, value in enumerate([*series, None]):
        if value is not None:
            run.append((x(index), y(value)))
            continue
        if len(run) == 1 and dot == 0:
            marks.append(_dot(*run[0], 1.2, ACTUAL, "c-actual"))
        if len(run) > 1:
            points = " ".join(f"{_c(px)},{_c(py)}" for px, py in run)
            marks.append(
                Markup(
                    '<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" '
                    'stroke-linejoin="round" class="c-actual-line"/>'
                ).format(points, ACTUAL, _c(stroke))
            )
        if dot > 0:
            marks += [_dot(px, py, dot, ACTUAL, "c-actual") for px, py in run]
        run = []
    return marks


def _end_mark(x: float, y: float, size: float, tone: str, is_signal: bool) -> Markup:
    css = {"bad": "c-bad", "good": "c-good"}.get(tone, "c-actual")
    colour = TONES.get(tone, ACTUAL)
    if not is_signal:
        return _dot(x, y, size, ACTUAL, "c-actual")
    path = f"M{_c(x)} {_c(y - size)}L{_c(x + size)} {_c(y)}L{_c(x)} {_c(y + size)}L{_c(x - size)} {_c(y)}Z"
    return Markup('<path d="{}" fill="{}" class="{}"/>').format(path, colour, css)


def _band(left: float, right: float, top: float, bottom: float) -> Markup:
    return _rect(left, top, right - left, bottom - top, BAND, "c-band")


def _rect(x: float, y: float, width: float, height: float, fill: str, css: str) -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}" class="{}"/>').format(
        _c(x), _c(y), _c(width), _c(height), fill, css
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, stroke: str, css: str, width: float, dash: str = ""
) -> Markup:
    dashed = Markup(' stroke-dasharray="{}"').format(dash) if dash else Markup("")
    return Markup(
        '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}"{} class="{}"/>'
    ).format(_c(x1), _c(y1), _c(x2), _c(y2), stroke, _c(width), dashed, css)


def _dot(x: float, y: float, radius: float, fill: str, css: str) -> Markup:
    return Markup('<circle cx="{}" cy="{}" r="{}" fill="{}" class="{}"/>').format(
        _c(x), _c(y), _c(radius), fill, css
    )


def _text(
    at: tuple[float, float],
    text: str,
    size: float,
    anchor: str = "start",
    fill: str = MUTED,
    css: str = "c-text",
) -> Markup:
    return Markup(
        '<text x="{}" y="{}" font-family="{}" font-size="{}" text-anchor="{}" fill="{}" class="{}">{}</text>'
    ).format(_c(at[0]), _c(at[1]), FONT, _c(size), anchor, fill, css, _plain(text))


def _svg(
    key: str, title: str, finding: str, width: float, height: float, marks: Sequence[Markup], css: str
) -> Markup:
    ident = re.sub(r"[^a-z0-9-]+", "-", key.lower())
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
        'class="chart {css}" role="img" aria-labelledby="{id}-t {id}-d">'
        '<title id="{id}-t">{title}</title><desc id="{id}-d">{desc}</desc>{marks}</svg>'
    ).format(
        w=_c(width),
        h=_c(height),
        css=css,
        id=ident,
        title=_plain(title),
        desc=_plain(finding),
        marks=Markup("").join(marks),
    )


def _plain(text: str) -> str:
    """Text without characters that XML forbids or that cannot be seen; escaping is Markup's."""
    return "".join(c for c in text if c.isprintable() or unicodedata.category(c) == "Zs")


def _c(number: float) -> str:
    """A coordinate: two decimals, no trailing zeros, no negative zero."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
