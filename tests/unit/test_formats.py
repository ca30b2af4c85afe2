"""Every printed figure: rounding half up, true minus, signs, units, dates, and names made harmless."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import formats

D = Decimal
MINUS, THIN = "\N{MINUS SIGN}", "\N{THIN SPACE}"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (formats.count(1234567), "1,234,567"),
        (formats.count(-1234), f"{MINUS}1,234"),
        (formats.count(None), "n/a"),
        (formats.count(D("2.5")), "3"),
        (formats.count(D("-0.4")), "0"),
        (formats.average(D("22.41666")), "22.4"),
        (formats.average(D("22")), "22"),
        (formats.average(D("225.58")), "226"),
        (formats.average(D("2024694.8")), f"2.02{THIN}M"),
        (formats.compact(999_999), "999,999"),
        (formats.compact(5_604_999), f"5.60{THIN}M"),
        (formats.compact(56_049_999), f"56.0{THIN}M"),
        (formats.compact(2 * 10**12), f"2.00{THIN}T"),
        (formats.cell_usd(D("9999.994")), "$9,999.99"),
        (formats.cell_usd(D("9999.995")), "$10,000"),
        (formats.cell_usd(D("-426930.73")), f"{MINUS}$426,931"),
        (formats.cell_usd(D("1147836.24")), f"$1.15{THIN}M"),
        (formats.cell_usd(D("0.004")), "<$0.01"),
        (formats.cell_usd(None), "not known"),
        (formats.cell_figure(D("1382720"), "count"), f"1.38{THIN}M"),
        (formats.cell_figure(D("12345"), "usd"), "$12,345"),
        (formats.cell_figure(None, "usd"), "not known"),
        (formats.mean_figure(D("16.66"), "count"), "16.7"),
        (formats.mean_figure(D("1174448"), "count"), f"1.17{THIN}M"),
        (formats.short_figure(D("99.99"), "usd"), "$99.99"),
        (formats.short_figure(D("346.51"), "usd"), "$347"),
        (formats.short_figure(D("-28456"), "usd"), f"{MINUS}$28.5{THIN}k"),
        (formats.short_figure(D("999950"), "usd"), f"$1.00{THIN}M"),
        (formats.short_figure(D("99999"), "credits"), "99,999"),
        (formats.short_figure(D("866668"), "count"), f"867{THIN}k"),
        (formats.short_figure(D("15.2"), "count"), "15.2"),
        (formats.short_figure(None, "usd"), "not known"),
        (formats.percent(D("0.0425")), f"4.3{THIN}%"),
        (formats.percent(D("0.04249999")), f"4.2{THIN}%"),
        (formats.percent(None), "n/a"),
        (formats.signed_percent(D("0.195")), f"+19.5{THIN}%"),
        (formats.signed_percent(D("-0.0004")), f"0.0{THIN}%"),
        (formats.signed_percent(D("10")), f"\N{MULTIPLICATION SIGN}{THIN}11"),
        (formats.signed_points(D("-0.0145")), f"{MINUS}1.5{THIN}pp"),
        (formats.signed_points(D("0.014")), f"+1.4{THIN}pp"),
        (formats.usd(D("1234.565")), "$1,234.57"),
        (formats.usd(D("-3.2")), f"{MINUS}$3.20"),
        (formats.usd(D("0")), "$0.00"),
        (formats.usd(D("0.004")), "<$0.01"),
        (formats.usd(D("0.005")), "$0.01"),
        (formats.usd(None), "not known"),
        (formats.signed_usd(D("1.194")), "+$1.19"),
        (formats.signed_usd(D("-0.004")), "$0.00"),
        (formats.unit_usd(D("0.02905456")), "$0.0291"),
        (formats.unit_usd(None), "n/a"),
        (formats.milliseconds(D("873.4")), f"873{THIN}ms"),
        (formats.milliseconds(D("999.5")), f"1.00{THIN}s"),
        (formats.milliseconds(D("2314.6")), f"2.31{THIN}s"),
        (formats.milliseconds(D("14774.5")), f"14.8{THIN}s"),
        (formats.milliseconds(D("614470")), f"10.2{THIN}min"),
        (formats.seconds(D("9.995")), f"10.0{THIN}s"),
        (formats.seconds(D("321.459")), f"321{THIN}s"),
        (formats.seconds(D("36000")), f"10.0{THIN}h"),
        (formats.factor(D("2.6600")), "2.66"),
        (formats.limits(D("0.024"), D("0.036"), "rate"), f"2.4 – 3.6{THIN}%"),
        (formats.limits(D("-3.33"), D("9.58"), "usd"), f"{MINUS}$3.33 – $9.58"),
        (formats.limits(None, D("9.58"), "usd"), "n/a"),
        (formats.limits(D("466005"), D("665232"), "count"), f"466 – 665{THIN}k"),
        (formats.limits(D("866668"), D("1482228"), "count"), f"867{THIN}k – 1.48{THIN}M"),
        (formats.mean_figure(None, "usd"), "n/a"),
        (formats.change_figure(D("0.05"), "points"), f"+5.0{THIN}pp"),
        (formats.change_figure(D("0.05"), "percent"), f"+5.0{THIN}%"),
        (formats.day(date(2026, 11, 1)), "1 Nov 2026"),
        (formats.moment(datetime(2026, 11, 23, 2, 5, 59)), "2026-11-23 02:05"),
        (formats.days_between(date(2026, 11, 16), date(2026, 11, 23)), "16–22 Nov 2026"),
        (formats.days_between(date(2026, 11, 30), date(2026, 12, 7)), "30 Nov – 6 Dec 2026"),
        (formats.day_span(date(2026, 11, 25), date(2026, 11, 25)), "25 Nov 2026"),
        (formats.day_span(date(2026, 11, 25), date(2026, 11, 26)), "25–26 Nov 2026"),
        (formats.day_span(date(2026, 11, 25), None), "25 Nov 2026 – open"),
        (formats.days_between(date(2026, 12, 28), date(2027, 1, 4)), "28 Dec 2026 – 3 Jan 2027"),
        (formats.iso_week(date(2027, 1, 3)), "2026-W53"),
        (formats.short_week(date(2026, 11, 16)), "W47"),
        (formats.words("rate_limit"), "rate limit"),
    ],
)
def test_a_figure_prints_as(printed: str, expected: str) -> None:
    assert printed == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("team-alpha", "team-alpha"),
        ("команда-β", "команда-β"),
        (None, "n/a"),
        ("", "(blank)"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}txt.exe\N{POP DIRECTIONAL FORMATTING}", "txt.exe"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("two\nlines\tand   spaces", "two lines and spaces"),
        ("zero\N{ZERO WIDTH SPACE}width", "zerowidth"),
        ("x" * 10_000, "x" * 47 + "…"),
        ("<script>", "<script>"),
    ],
)
def test_a_name_is_made_fit_to_print(name: str | None, expected: str) -> None:
    assert formats.safe_label(name) == expected


@given(st.text(), st.integers(4, 60))
def test_a_label_is_one_short_line_without_hidden_characters(name: str, cap: int) -> None:
    label = formats.safe_label(name, cap)
    assert 0 < len(label) <= max(cap, len("(blank)"))
    assert label.isprintable()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=8))
def test_every_format_takes_every_number(value: Decimal) -> None:
    for unit in ("count", "credits", "tokens", "rate", "milliseconds", "seconds", "usd", "usd_unit"):
        for way in (formats.figure, formats.cell_figure, formats.mean_figure, formats.short_figure):
            printed = way(value, unit)
            assert "-" not in printed
            assert not printed.startswith(f"{MINUS}0") or any(digit in printed for digit in "123456789")


def test_a_unit_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        formats.figure(D(1), "parsec")
