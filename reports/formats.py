"""Every figure that a report prints: rounding, signs, units, dates. Each function is a filter of the
templates.

Rounding is half up (half away from zero) on decimals. A minus is U+2212; a unit stands a thin space
(U+2009) away, which Inter has (it lacks the narrow no-break space). `None` prints as "n/a" or, where it
stands for an unknown cost, "not known".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal

MINUS = "\N{MINUS SIGN}"
THIN = "\N{THIN SPACE}"
DASH = "\N{EN DASH}"
MISSING = "n/a"
UNKNOWN = "not known"

Number = Decimal | int

_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONG_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_COMPACT = ((Decimal("1e12"), "T"), (Decimal("1e9"), "B"), (Decimal("1e6"), "M"), (Decimal("1e3"), "k"))
_ROUNDS_UP = Decimal("0.9995")  # from here on three figures say 1,000, which is one of the next unit
_ALMOST_ALL = Decimal("0.00001")
# From where a figure gives up digits that its place has no room for; the tables that come with a review keep
# them. In a cell: cents, then all but three figures.
WHOLE_DOLLARS_FROM, THREE_FIGURES_FROM = Decimal("1e4"), Decimal("1e6")
# In a limit or a label of a chart: all but three figures of a count, cents, all but three figures of dollars.
_SHORT_COUNT, _SHORT_CENTS, _SHORT_USD = Decimal("1e5"), Decimal("1e2"), Decimal("1e4")


def rounded(value: Decimal | int, places: int) -> Decimal:
    """`value` to `places` decimals, half away from zero; never a negative zero."""
    result = _EXACT.quantize(Decimal(value), Decimal(1).scaleb(-places))
    return abs(result) if result == 0 else result


def _number(value: Number, places: int = 0, *, sign: bool = False, prefix: str = "") -> str:
    result = rounded(value, places)
    mark = MINUS if result < 0 else "+" if sign and result > 0 else ""
    return f"{mark}{prefix}{abs(result):,.{places}f}"


def count(value: Number | None, missing: str = MISSING) -> str:
    """A whole number with thousands separators."""
    return missing if value is None else _number(value)


def average(value: Number | None, missing: str = MISSING) -> str:
    """A mean of counts in a cell: one decimal below 100, where it still says something."""
    if value is not None and abs(Decimal(value)) < 100 and value != int(value):
        return _number(value, 1)
    return compact(value, missing)


def compact(value: Number | None, missing: str = MISSING) -> str:
    """A count where there is the room of a cell: whole below a million, then with three figures: 5.60 M."""
    return missing if value is None else _from(THREE_FIGURES_FROM, value) or _number(value)


def _from(least: Decimal, value: Number, prefix: str = "") -> str | None:
    """Three figures and a unit, or None for what is less."""
    amount = abs(Decimal(value))
    if rounded(amount, 0) < least:
        return None
    size, unit = next((size, unit) for size, unit in _COMPACT if amount >= size * _ROUNDS_UP)
    scaled = Decimal(value) / size
    places = 2 if rounded(abs(scaled), 2) < 10 else 1 if rounded(abs(scaled), 1) < 100 else 0
    return f"{_number(scaled, places, prefix=prefix)}{THIN}{unit}"


def percent(value: Number | None, places: int = 1, missing: str = MISSING) -> str:
    """A fraction as per cent: 0.043 is 4.3 %."""
    return missing if value is None else f"{_number(Decimal(value) * 100, places)}{THIN}%"


def availability(value: Number | None, missing: str = MISSING) -> str:
    """A share of time, 99.871 %; what is not all of it is never printed as 100."""
    if value is not None and 1 - _ALMOST_ALL < value < 1:
        value = 1 - _ALMOST_ALL
    return percent(value, 3, missing)


def signed_percent(value: Number | None, places: int = 1, missing: str = MISSING) -> str:
    """A relative change, a fraction, with its sign; beyond tenfold as a factor."""
    if value is None:
        return missing
    if value >= 10:
        return f"\N{MULTIPLICATION SIGN}{THIN}{_number(Decimal(value) + 1)}"
    return f"{_number(Decimal(value) * 100, places, sign=True)}{THIN}%"


def signed_points(value: Number | None, places: int = 1, missing: str = MISSING) -> str:
    """A change of a rate, a fraction, in percentage points."""
    return missing if value is None else f"{_number(Decimal(value) * 100, places, sign=True)}{THIN}pp"


def usd(value: Number | None, missing: str = UNKNOWN) -> str:
    """A sum of money, to the cent."""
    if value is None:
        return missing
    if 0 < value < Decimal("0.005"):
        return "<$0.01"  # a little is not nothing
    return _number(value, 2, prefix="$")


def cell_usd(value: Number | None, missing: str = UNKNOWN) -> str:
    """A sum of money where there is the room of a cell: $9,999.99, $12,346, $1.15 M."""
    if value is None or rounded(abs(Decimal(value)), 2) < WHOLE_DOLLARS_FROM:
        return usd(value, missing)
    return _from(THREE_FIGURES_FROM, value, "$") or _number(value, prefix="$")


def signed_usd(value: Number | None, missing: str = UNKNOWN) -> str:
    """A change of a sum of money, to the cent, with its sign."""
    return missing if value is None else _number(value, 2, sign=True, prefix="$")


def unit_usd(value: Number | None, missing: str = MISSING) -> str:
    """A cost of one thing, to the hundredth of a cent."""
    return missing if value is None else _number(value, 4, prefix="$")


def milliseconds(value: Number | None, missing: str = MISSING) -> str:
    """A latency: 873 ms, 2.31 s, 14.8 s, 184 s."""
    if value is None:
        return missing
    if rounded(abs(Decimal(value)), 0) < 1000:
        return f"{_number(value)}{THIN}ms"
    return seconds(Decimal(value) / 1000)


def seconds(value: Number | None, missing: str = MISSING) -> str:
    """A duration: 2.31 s, 14.8 s, 184 s, 12.5 min, 3.2 h."""
    if value is None:
        return missing
    if abs(Decimal(value)) < 600:
        places = (
            2 if rounded(abs(Decimal(value)), 2) < 10 else 1 if rounded(abs(Decimal(value)), 1) < 100 else 0
        )
        return f"{_number(value, places)}{THIN}s"
    if abs(Decimal(value)) < 36000:
        return f"{_number(Decimal(value) / 60, 1)}{THIN}min"
    return f"{_number(Decimal(value) / 3600, 1)}{THIN}h"


def signed_count(value: Number | None, missing: str = MISSING) -> str:
    """A change of a whole number, with its sign."""
    return missing if value is None else _number(value, sign=True)


def factor(value: Number | None, missing: str = MISSING) -> str:
    """A constant of a rule, without trailing zeros: 2.66."""
    return missing if value is None else f"{Decimal(value).normalize():f}"


def figure(value: Number | None, unit: str) -> str:
    """A metric's value in its own unit, as named by column `unit` of `reviews.review_weekly_kpis`."""
    return _UNITS[unit](value)


def cell_figure(value: Number | None, unit: str) -> str:
    """A metric's value where there is the room of a cell."""
    if value is None:
        return figure(value, unit)
    return cell_usd(value) if unit == "usd" else compact(value) if unit in _COUNTS else figure(value, unit)


def mean_figure(value: Number | None, unit: str) -> str:
    """A metric's mean in a cell: as its value, but means of small counts keep a decimal."""
    if value is None:
        return MISSING
    return average(value) if unit in _COUNTS else cell_figure(value, unit)


def short_figure(value: Number | None, unit: str) -> str:
    """A metric's value, mean or limit where there is little room, with three figures: $347, 28.5 k."""
    if value is None:
        return figure(value, unit)
    if unit == "usd" and rounded(abs(Decimal(value)), 2) >= _SHORT_CENTS:
        return _from(_SHORT_USD, value, "$") or _number(value, prefix="$")
    if unit in (*_COUNTS, "tokens"):
        return _from(_SHORT_COUNT, value) or average(value)
    return figure(value, unit)


def limits(lower: Number | None, upper: Number | None, unit: str) -> str:
    """Two natural limits, short: "2.4 – 3.6 %", the unit once where both share it."""
    if lower is None or upper is None:
        return MISSING
    low, high = short_figure(lower, unit), short_figure(upper, unit)
    low_number, _, low_unit = low.partition(THIN)
    _, _, high_unit = high.partition(THIN)
    if low_unit and low_unit == high_unit:
        low = low_number
    return f"{low} {DASH} {high}"


def change_figure(value: Number | None, change_kind: str) -> str:
    """A change: points for a rate, else per cent; column `change_kind` says which."""
    return signed_points(value) if change_kind == "points" else signed_percent(value)


def day(value: date | None, missing: str = MISSING, *, dates: str = "en-GB") -> str:
    """21 Nov 2026, Nov 21, 2026 or 2026-11-21, by the locale of dates."""
    if value is None:
        return missing
    if dates == "iso":
        return value.isoformat()[:10]
    month = _MONTHS[value.month - 1]
    return f"{month} {value.day}, {value.year}" if dates == "en-US" else f"{value.day} {month} {value.year}"


def moment(value: datetime | None, missing: str = MISSING) -> str:
    """2026-11-23 02:00, in the zone that the text beside it names."""
    return missing if value is None else value.strftime("%Y-%m-%d %H:%M")


def days_between(start: date, end: date, *, dates: str = "en-GB") -> str:
    """The days of a half-open period: 16–22 Nov 2026, Nov 16–22, 2026 or 2026-11-16 – 2026-11-22."""
    return day_span(start, end - timedelta(days=1), dates=dates)


def day_span(first: date, last: date | None, *, dates: str = "en-GB") -> str:
    """From one day to another that belongs to it, or open."""
    if first == last:
        return day(first, dates=dates)
    if last is None or dates == "iso" or first.year != last.year:
        return f"{day(first, dates=dates)} {DASH} {day(last, 'open', dates=dates)}"
    is_one_month = first.month == last.month
    month = _MONTHS[first.month - 1]
    if dates == "en-US":
        until = str(last.day) if is_one_month else f" {_MONTHS[last.month - 1]} {last.day}"
        return f"{month} {first.day}{'' if is_one_month else ' '}{DASH}{until}, {last.year}"
    if is_one_month:
        return f"{first.day}{DASH}{day(last, dates=dates)}"
    return f"{first.day} {month} {DASH} {day(last, dates=dates)}"


def period_name(start: date, review_kind: str) -> str:
    """2026-W47, or October 2026."""
    return iso_week(start) if review_kind == "weekly" else f"{_LONG_MONTHS[start.month - 1]} {start.year}"


def short_period(start: date, review_kind: str) -> str:
    """W47 or Oct, where the year is clear from the page."""
    return short_week(start) if review_kind == "weekly" else _MONTHS[start.month - 1]


def short_month(start: date) -> str:
    """Oct 26."""
    return f"{_MONTHS[start.month - 1]} {start.year % 100:02d}"


def iso_week(value: date) -> str:
    """2026-W47."""
    year, week, _ = value.isocalendar()
    return f"{year}-W{week:02d}"


def short_week(value: date) -> str:
    """W47, where the year is clear from the page."""
    return iso_week(value)[5:]


_HIDDEN = re.compile(
    "[\N{ARABIC LETTER MARK}\N{ZERO WIDTH SPACE}-\N{RIGHT-TO-LEFT MARK}\N{LEFT-TO-RIGHT EMBEDDING}-"
    "\N{RIGHT-TO-LEFT OVERRIDE}\N{WORD JOINER}-\u206f\ufeff\ufff9-\ufffb]"
)


def safe_label(value: str | None, cap: int = 48, missing: str = MISSING) -> str:
    """A name from the platform's users, fit to print: no control or bidirectional marks, one line, capped.

    Escaping is the template's work; this only takes out what escaping cannot make harmless.
    """
    if value is None:
        return missing
    kept = "".join(
        " " if character.isspace() else character
        for character in _HIDDEN.sub("", value[: 20 * cap])
        if character.isspace()
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    )
    text = " ".join(kept.split())
    if not text:
        return "(blank)"
    return text if len(text) <= cap else text[: cap - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


_SIGNS = re.compile(r"[^\w ,.:;%$()+'&-]+")
_DOT_BEFORE_LETTER = re.compile(r"\.(?=[^\W\d])")


def without_signs(text: str) -> str:
    """A label in which no chat finds a mention, a link or a mark, where it would look for them."""
    return " ".join(_DOT_BEFORE_LETTER.sub(" ", _SIGNS.sub(" ", text)).split())


def words(value: str | None, missing: str = MISSING) -> str:
    """A code such as `rate_limit` as words."""
    return missing if value is None else safe_label(value.replace("_", " "))


_SPELLED = {"api": "API", "saas": "SaaS", "litellm": "LiteLLM", "llm": "LLM", "ui": "UI"}


def component_name(value: str) -> str:
    """What is probed, as people write it: `litellm_proxy` is LiteLLM proxy."""
    parts = [_SPELLED.get(part, part) for part in words(value).split()]
    return " ".join([parts[0] if parts[0] in _SPELLED.values() else parts[0].capitalize(), *parts[1:]])


_COUNTS = ("count", "credits")
_UNITS: dict[str, Callable[[Number | None], str]] = {
    "count": count,
    "credits": count,
    "tokens": compact,
    "rate": percent,
    "milliseconds": milliseconds,
    "seconds": seconds,
    "usd": usd,
    "usd_unit": unit_usd,
}

DATES = ("en-GB", "en-US", "iso")
# Filters that print dates, and so depend on their locale.
DATED = {function.__name__: function for function in (day, day_span, days_between)}

FILTERS = {
    function.__name__: function
    for function in (
        count,
        average,
        compact,
        percent,
        availability,
        signed_percent,
        signed_points,
        usd,
        cell_usd,
        signed_usd,
        unit_usd,
        milliseconds,
        seconds,
        factor,
        figure,
        cell_figure,
        signed_count,
        period_name,
        short_period,
        short_month,
        mean_figure,
        short_figure,
        limits,
        change_figure,
        day,
        moment,
        day_span,
        days_between,
        iso_week,
        short_week,
        safe_label,
        words,
        component_name,
    )
}
