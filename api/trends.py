"""Trends: how far a figure of a period is from that of the period before."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
_PLACES = Decimal("0.0001")


def percent(fraction: Decimal | None) -> Decimal | None:
    """A fraction as the page prints it: 0.9563 is 95.63."""
    return None if fraction is None else fraction * 100


def relative(value: Decimal | int | None, before: Decimal | int | None) -> Decimal | None:
    """The change in per cent of what was before, four places, half away from zero; None of nothing."""
    if value is None or before is None or before == 0:
        return None
    change = _EXACT.divide((Decimal(value) - before) * 100, Decimal(before))
    return _EXACT.quantize(change, _PLACES)


def points(value: Decimal | None, before: Decimal | None) -> Decimal | None:
    """The change of a fraction in percentage points."""
    return None if value is None or before is None else (value - before) * 100
