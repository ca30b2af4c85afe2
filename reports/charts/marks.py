"""What every chart is made of: scale, colours, marks, and the frame with its title and finding."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
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


def real(value: Value) -> float | None:
    """A number that can be drawn, or None; infinities and NaN cannot."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def log_place(value: Value) -> float | None:
    """The place of a non-negative number on a logarithmic scale that has room for 0."""
    number = real(value)
    return None if number is None else math.log10(max(number, 0.0) + 1)


def domain(values: Sequence[float | None], start: float, end: float) -> Scale:
    known = [value for value in values if value is not None]
    return Scale(min(known, default=0.0), max(known, default=0.0), start, end)


def bar_length(x: Scale, value: float) -> float:
    """The length of a bar of a positive value: never so short that it looks like nothing."""
    return max(x(value), 0.6)


def apart(positions: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Label positions in their order, at least `gap` apart, inside top and bottom."""
    placed: list[float] = []
    for position in positions:
        placed.append(max(position, placed[-1] + gap) if placed else max(position, top))
    limit = bottom
    for index in reversed(range(len(placed))):
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    return placed


def ticks(length: int) -> list[int]:
    return list(range(length)) if length <= 3 else [0, (length - 1) // 2, length - 1]


def fit(text: str, width: float, size: float) -> str:
    """Text cut to a width, taking 0.63 em for each character, as wide as a figure of Inter."""
    room = max(int(width / (0.63 * size)), 1)
    return text if len(text) <= room else text[: room - 1] + "\N{HORIZONTAL ELLIPSIS}"


def text_width(text: str, size: float) -> float:
    """The room that a text takes, by the rule of `fit`."""
    return len(text) * 0.63 * size


def stretches(series: Sequence[float | None], x: Scale, y: Scale) -> list[list[tuple[float, float]]]:
    """The points of each unbroken run of known values."""
    found: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(series):
        if value is None:
            found.append([])
        else:
            found[-1].append((x(index), y(value)))
    return [run for run in found if run]


def runs(series: Sequence[float | None], x: Scale, y: Scale, stroke: float, *, radius: float) -> list[Markup]:
    """One line for each unbroken run of weeks; a week alone is a dot, or it would not be seen."""
    marks: list[Markup] = []
    for run in stretches(series, x, y):
        if len(run) == 1 and radius == 0:
            marks.append(dot(*run[0], 1.2, ACTUAL, "c-actual"))
        if len(run) > 1:
            points = " ".join(f"{coordinate(px)},{coordinate(py)}" for px, py in run)
            marks.append(
                Markup(
                    '<polyline points="{}" fill="none" stroke="{}" stroke-width="{}" '
                    'stroke-linejoin="round" class="c-actual-line"/>'
                ).format(points, ACTUAL, coordinate(stroke))
            )
        if radius > 0:
            marks += [dot(px, py, radius, ACTUAL, "c-actual") for px, py in run]
    return marks


def end_mark(x: float, y: float, size: float, tone: str, is_signal: bool) -> Markup:
    css = {"bad": "c-bad", "good": "c-good"}.get(tone, "c-actual")
    colour = TONES.get(tone, ACTUAL)
    if not is_signal:
        return dot(x, y, size, ACTUAL, "c-actual")
    around = ((x, y - size), (x + size, y), (x, y + size), (x - size, y))
    path = "M" + "L".join(f"{coordinate(px)} {coordinate(py)}" for px, py in around) + "Z"
    return Markup('<path d="{}" fill="{}" class="{}"/>').format(path, colour, css)


def band(left: float, right: float, top: float, bottom: float) -> Markup:
    return rect(left, top, right - left, bottom - top, BAND, "c-band")


def rect(x: float, y: float, width: float, height: float, fill: str, css: str) -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}" class="{}"/>').format(
        coordinate(x), coordinate(y), coordinate(width), coordinate(height), fill, css
    )


def line(
    x1: float, y1: float, x2: float, y2: float, stroke: str, css: str, width: float, dash: str = ""
) -> Markup:
    dashed = Markup(' stroke-dasharray="{}"').format(dash) if dash else Markup("")
    return Markup(
        '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}"{} class="{}"/>'
    ).format(
        coordinate(x1), coordinate(y1), coordinate(x2), coordinate(y2), stroke, coordinate(width), dashed, css
    )


def dot(x: float, y: float, radius: float, fill: str, css: str) -> Markup:
    return Markup('<circle cx="{}" cy="{}" r="{}" fill="{}" class="{}"/>').format(
        coordinate(x), coordinate(y), coordinate(radius), fill, css
    )


def ring(x: float, y: float, radius: float, stroke: str, css: str) -> Markup:
    """A hollow mark: here a value is missing, or stands alone among missing ones."""
    return Markup('<circle cx="{}" cy="{}" r="{}" fill="none" stroke="{}" class="{}"/>').format(
        coordinate(x), coordinate(y), coordinate(radius), stroke, css
    )


def text_mark(
    at: tuple[float, float],
    text: str,
    size: float,
    anchor: str = "start",
    fill: str = MUTED,
    css: str = "c-text",
) -> Markup:
    return Markup(
        '<text x="{}" y="{}" font-family="{}" font-size="{}" text-anchor="{}" fill="{}" class="{}">{}</text>'
    ).format(coordinate(at[0]), coordinate(at[1]), FONT, coordinate(size), anchor, fill, css, plain(text))


def svg(
    key: str, title: str, finding: str, width: float, height: float, marks: Sequence[Markup], css: str
) -> Markup:
    ident = re.sub(r"[^a-z0-9-]+", "-", key.lower())
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
        'class="chart {css}" role="img" aria-labelledby="{id}-t {id}-d">'
        '<title id="{id}-t">{title}</title><desc id="{id}-d">{desc}</desc>{marks}</svg>'
    ).format(
        w=coordinate(width),
        h=coordinate(height),
        css=css,
        id=ident,
        title=plain(title),
        desc=plain(finding),
        marks=Markup("").join(marks),
    )


def plain(text: str) -> str:
    """Text without characters that XML forbids or that cannot be seen; escaping is Markup's."""
    return "".join(c for c in text if c.isprintable() or unicodedata.category(c) == "Zs")


def coordinate(number: float) -> str:
    """A coordinate: two decimals, no trailing zeros, no negative zero."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
