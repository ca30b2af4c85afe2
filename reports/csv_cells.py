"""Cells of CSV files that spreadsheets open: what a spreadsheet would run as a formula stays text."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time
from decimal import Decimal

# A spreadsheet runs a cell that starts like this as a formula, also after blanks and on a later line;
# the full-width forms are folded by some.
_FORMULA = re.compile(r"(^|[\n\r])(?=[^\S\n\r]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20])")


def plain(value: object) -> str:
    """A value as text: decimals without an exponent, instants in ISO form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, list | dict | tuple):
        return json_text(value)
    return str(value)


def csv_cell(value: object) -> str:
    """A value for a spreadsheet: text that it would run as a formula gets a leading apostrophe."""
    text = plain(value)
    if value is None or isinstance(value, bool | int | float | Decimal | date | time):
        return text
    return _FORMULA.sub(r"\1'", text)


def json_text(value: object) -> str:
    """A value as JSON; a decimal keeps every digit, and a float that JSON cannot write is null."""
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else "null"
    if isinstance(value, float):
        return json.dumps(value) if value - value == 0 else "null"
    if value is None or isinstance(value, bool | int | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, datetime | date | time):
        return json.dumps(value.isoformat())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(json_text(item) for item in value) + "]"
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{json_text(str(key))}: {json_text(item)}" for key, item in value.items()) + "}"
        )
    return json.dumps(str(value), ensure_ascii=False)
