"""The charts: whatever the figures, every coordinate is a number inside the view box, and the text says
what they are.
"""

import math
import os
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from reports import charts, formats

SVG = "{http://www.w3.org/2000/svg}"
D = Decimal

values = st.one_of(
    st.none(),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**13), max_value=10**13, places=8),
    st.sampled_from([D(0), D("1e12"), D("-1e12"), D("1e-8"), math.nan, math.inf]),
)
series = st.lists(values, max_size=13)
labels = st.text(max_size=40)


def check(picture: Markup) -> ElementTree.Element:
    """The picture's root, after all that must hold of every picture."""
    root = ElementTree.fromstring(str(picture))
    _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
    assert root.attrib["role"] == "img"
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert root.attrib["aria-labelledby"].split() == ids
    assert [element.tag for element in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert "style=" not in picture
    assert "nan" not in re.sub(r">[^<]*<", "><", picture).lower()
    for x, y in _points(root):
        assert -0.01 <= x <= width + 0.01, (x, width)
        assert -0.01 <= y <= height + 0.01, (y, height)
    for number in re.findall(r'(?:x|y|x1|y1|x2|y2|cx|cy|r|width|height|points|d)="([^"]*)"', picture):
        assert not re.search(r"\.\d{3}", number), number
    return root


def _points(root: ElementTree.Element) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for element in root.iter():
        at = {
            name: float(value) for name, value in element.attrib.items() if re.fullmatch(r"-?[\d.]+", value)
        }
        kind = element.tag.removeprefix(SVG)
        if kind == "rect":
            assert at["width"] >= 0
            assert at["height"] >= 0
            found += [(at["x"], at["y"]), (at["x"] + at["width"], at["y"] + at["height"])]
        elif kind == "line":
            found += [(at["x1"], at["y1"]), (at["x2"], at["y2"])]
        elif kind == "circle":
            found += [(at["cx"] + sign * at["r"], at["cy"] + sign * at["r"]) for sign in (1, -1)]
        elif kind == "text":
            found.append((at["x"], at["y"]))
        elif kind in ("polyline", "path"):
            numbers = [
                float(number)
                for number in re.findall(
                    r"-?[\d.]+", element.attrib.get("points", element.attrib.get("d", ""))
                )
            ]
            found += list(zip(numbers[::2], numbers[1::2], strict=True))
    return found


def _process(numbers: Sequence[charts.Value], **arguments: object) -> Markup:
    names = [f"W{index}" for index in range(len(numbers))]
    return charts.process_chart("key", "t", "d", numbers, names, figure=str, **arguments)  # type: ignore[arg-type]


@given(series, values, values, values, st.sampled_from(["bad", "good", "neutral", "none"]), st.booleans())
def test_lines_stay_inside(
    numbers: list[charts.Value],
    lower: charts.Value,
    mean: charts.Value,
    upper: charts.Value,
    tone: str,
    is_signal: bool,
) -> None:
    known = sorted(number for number in (lower, mean, upper) if number is not None and math.isfinite(number))
    low, mid, high = known if len(known) == 3 else (None, None, None)
    check(
        charts.sparkline(
            "k", "t", "d", numbers, lower=low, mean=mid, upper=high, tone=tone, is_signal=is_signal
        )
    )
    check(_process(numbers, lower=low, mean=mid, upper=high, tone=tone, is_signal=is_signal))


@given(values, values, values, values, labels)
def test_bars_stay_inside(
    now: charts.Value, before: charts.Value, top: charts.Value, third: charts.Value, name: str
) -> None:
    check(charts.bar_pair("k", name, "d", now, before, maximum=top))
    check(charts.bars("k", "t", name, [(name, now, before), ("b", third, None)], figure=str))
    check(charts.contribution("k", "t", "d", now, extent=top))
    check(charts.bullet("k", "t", "d", now, marker=before, tone="bad"))
    check(charts.spread("k", "t", "d", now, before, third, minimum=D(1), maximum=top))


steps = st.lists(st.tuples(labels, values), max_size=8)
trend = st.lists(st.tuples(labels, values, values), max_size=12)


@given(steps, labels)
def test_a_bridge_stays_inside(drawn: list[tuple[str, charts.Value]], name: str) -> None:
    check(charts.bridge("k", name, "d", drawn, figure=str, signed=str))


@given(trend, trend, labels)
def test_weeks_beside_months_stay_inside(
    weeks: list[tuple[str, charts.Value, charts.Value]],
    months: list[tuple[str, charts.Value, charts.Value]],
    name: str,
) -> None:
    check(charts.six_twelve("k", name, "d", weeks, months, figure=str))


days = st.lists(st.tuples(labels, values, values, st.booleans(), st.booleans()), max_size=62)


@given(days, labels)
def test_columns_stay_inside(
    drawn: list[tuple[str, charts.Value, charts.Value, bool, bool]], name: str
) -> None:
    check(charts.columns("k", name, "d", [charts.Column(*day) for day in drawn], figure=str))


def test_a_day_that_is_not_known_is_a_ring_and_a_quiet_day_is_nothing() -> None:
    told = [charts.Column("1", D(4)), charts.Column("2", None), charts.Column("3", D(0))]
    root = check(charts.columns("k", "t", "d", told, figure=str))
    assert len(list(root.iter(f"{SVG}rect"))) == 1
    assert [ring.attrib["fill"] for ring in root.iter(f"{SVG}circle")] == ["none"]
    nothing = charts.columns("k", "t", "d", [charts.Column("1", None)], figure=str)
    assert "no figures of these days" in nothing


def test_the_bad_part_of_a_day_is_its_foot() -> None:
    root = check(charts.columns("k", "t", "d", [charts.Column("1", D(8), D(2))], figure=str))
    whole, bad = root.iter(f"{SVG}rect")
    assert float(bad.attrib["height"]) == pytest.approx(float(whole.attrib["height"]) / 4, abs=0.01)
    feet = [float(part.attrib["y"]) + float(part.attrib["height"]) for part in (whole, bad)]
    assert feet[0] == pytest.approx(feet[1])


def test_a_day_that_is_not_over_is_an_outline() -> None:
    told = [charts.Column("1", D(1), is_before=True), charts.Column("2", D(1), is_open=True)]
    root = check(charts.columns("k", "t", "d", told, figure=str))
    assert [part.attrib["class"] for part in root.iter(f"{SVG}rect")] == ["c-previous", "c-outline"]


def test_a_bridge_ends_where_its_steps_lead() -> None:
    told = [("W46", D(100)), ("volume", D(20)), ("price", D(-30)), ("W47", D(90))]
    root = check(charts.bridge("k", "t", "d", told, figure=str, signed=str))
    tops = [float(bar.attrib["y"]) for bar in root.iter(f"{SVG}rect")]
    bottoms = [float(bar.attrib["y"]) + float(bar.attrib["height"]) for bar in root.iter(f"{SVG}rect")]
    assert tops[1] == pytest.approx(tops[2]), "the fall begins where the rise ended"
    assert bottoms[1] == pytest.approx(tops[0]), "the rise begins at the first total"
    assert bottoms[2] == pytest.approx(tops[3]), "the last total is where the fall ended"


def test_a_bridge_that_does_not_start_at_zero_says_so() -> None:
    tall = [("W46", D(640)), ("volume", D(20)), ("W47", D(660))]
    assert "scale starts at" in charts.bridge("k", "t", "d", tall, figure=str, signed=str)
    assert "scale starts at" not in charts.bridge(
        "k", "t", "d", [("a", D(1)), ("b", D(9))], figure=str, signed=str
    )


def test_a_step_that_is_not_known_says_so_and_moves_no_other() -> None:
    told = [("W46", None), ("volume", D(20)), ("price", None), ("W47", D(90))]
    root = check(charts.bridge("k", "t", "d", told, figure=str, signed=str))
    printed = [text.text for text in root.iter(f"{SVG}text")]
    assert printed.count("not known") == 3
    assert len(list(root.iter(f"{SVG}rect"))) == 1
    assert "90" in printed
    assert "20" not in printed, "a contribution to an unknown total stands nowhere"


@given(
    st.decimals("0.001", "1e9", places=4),
    st.lists(st.decimals("-0.05", "0.05", places=3), min_size=1, max_size=6),
)
def test_a_cut_bridge_tells_its_scale_by_what_it_draws(start: Decimal, shares: list[Decimal]) -> None:
    moved = [start * share for share in shares]
    told = [("a", start), *(("x", change) for change in moved), ("b", start + sum(moved))]
    root = check(charts.bridge("k", "t", "d", told, figure=lambda number: f"{number:f}", signed=str))
    notes = [text.text or "" for text in root.iter(f"{SVG}text") if "starts at" in (text.text or "")]
    first = next(root.iter(f"{SVG}rect"))
    if notes:
        base = D(notes[0].rpartition(" ")[2])
        levels = [start + sum(moved[:count]) for count in range(len(moved) + 1)]
        share = (start - base) / (max(levels) - base)
        assert float(first.attrib["height"]) == pytest.approx(float(share) * 84, abs=1)


def test_a_year_ago_is_dashed_and_a_missing_month_a_gap() -> None:
    months = [(f"M{n}", D(n) if n != 5 else None, D(n) if n != 9 else None) for n in range(1, 13)]
    picture = charts.six_twelve("k", "t", "d", [("W1", D(1), None)], months, figure=str)
    root = check(picture)
    assert len(list(root.iter(f"{SVG}polyline"))) == 2
    dashed = [part for part in root.iter(f"{SVG}line") if "stroke-dasharray" in part.attrib]
    assert len(dashed) == 9, "twelve months with one missing have nine pairs of neighbours"
    assert picture.count('fill="none" stroke="#6e7781"') == 1, "the missing month has a hollow mark"


@given(
    st.lists(st.tuples(labels, values, values), min_size=1, max_size=6),
    st.lists(st.tuples(labels, values, values), min_size=1, max_size=12),
)
def test_printed_figures_never_overlap(
    weeks: list[tuple[str, charts.Value, charts.Value]], months: list[tuple[str, charts.Value, charts.Value]]
) -> None:
    root = check(charts.six_twelve("k", "t", "d", weeks, months, figure=str))
    boxes = [
        (float(text.attrib["x"]), float(text.attrib["y"]), len(text.text or "") * 5.8)
        for text in root.iter(f"{SVG}text")
        if text.attrib["class"] == "c-ink"
    ]
    for index, (x, y, width) in enumerate(boxes):
        assert x + width <= 340.01
        for other_x, other_y, other_width in boxes[:index]:
            assert x >= other_x + other_width or other_x >= x + width or abs(y - other_y) >= 9
    for panel, edge in ((weeks, 0.0), (months, 134.0)):
        if real_values := [value for _, value, _ in panel if value is not None and math.isfinite(value)]:
            assert any(x >= edge for x, _, _ in boxes), real_values


WIDE: dict[str, Callable[[], Markup]] = {
    "bridge": lambda: charts.bridge(
        "bridge",
        "Client cost from W46 to W47",
        "volume +$18.00, model mix +$71.00, tokens per call +$34.00, price −$6.00.",
        [
            ("W46", D(642)),
            ("volume", D(18)),
            ("model mix", D(71)),
            ("tokens per call", D(34)),
            ("price", D(-6)),
            ("W47", D(759)),
        ],
        figure=formats.usd,
        signed=formats.signed_usd,
    ),
    "six_twelve": lambda: charts.six_twelve(
        "trend-job_count",
        "Jobs: the last weeks, and the last months",
        "23,410 in the month, 22,760 in the month before.",
        [(f"W{41 + n}", value, None) for n, value in enumerate(map(D, (5201, 5390, 5460, 5350, 5512, 5678)))],
        [
            (f"{n:02}", None if n == 3 else D(17200 + 560 * n), D(15000 + 700 * n) if n > 3 else None)
            for n in range(1, 13)
        ],
        figure=formats.count,
    ),
    "columns": lambda: charts.columns(
        "daily-jobs",
        "Jobs each day, and those of them that failed",
        "115 jobs in the period, 6 failed.",
        [
            charts.Column("16 Nov 2026", D(50), D(2), is_before=True),
            charts.Column("17 Nov 2026", D(47), D(1)),
            charts.Column("18 Nov 2026", None),
            charts.Column("19 Nov 2026", D(0)),
            charts.Column("20 Nov 2026", D(28), D(4), is_open=True),
        ],
        figure=formats.count,
    ),
}


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_chart_is_the_golden_one(name: str) -> None:
    drawn = WIDE[name]()
    check(drawn)
    text = str(drawn).replace("><", ">\n<") + "\n"
    golden = Path(__file__).parents[1] / "golden" / f"{name}.svg"
    if os.environ.get("ALMANAC_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), (
        "run with ALMANAC_UPDATE_GOLDEN=1 and look at the difference"
    )


SHAPES: dict[str, list[charts.Value]] = {
    "constant": [D(5)] * 13,
    "one point": [D(5)],
    "nothing": [],
    "all null": [None] * 13,
    "enormous": [D("1e12"), D("1e12") + 1, D(0)],
    "negative": [D(-5), D(-3), D(-9)],
    "a gap": [D(1), None, D(2), None, None, D(3)],
}


@pytest.mark.parametrize("numbers", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("draw", [lambda numbers: charts.sparkline("k", "t", "d", numbers), _process])
def test_odd_series_are_drawn(
    numbers: list[charts.Value], draw: Callable[[list[charts.Value]], Markup]
) -> None:
    root = check(draw(numbers))
    runs = "".join("x" if number is not None else " " for number in numbers).split()
    assert len(list(root.iter(f"{SVG}polyline"))) == len([run for run in runs if len(run) > 1])


def test_time_runs_to_the_right() -> None:
    root = check(_process([D(number) for number in (3, 1, 2, 9, 4)]))
    line = next(root.iter(f"{SVG}polyline")).attrib["points"]
    across = [float(point.split(",")[0]) for point in line.split()]
    assert across == sorted(set(across))


def test_a_missing_week_is_a_hollow_mark() -> None:
    assert _process([D(1), None, D(2), None, D(3)]).count('fill="none" stroke="#6e7781"') == 2


def test_a_missing_week_says_so_when_nothing_is_known() -> None:
    assert "no figures in these weeks" in _process([None, None])


def test_a_signal_is_a_diamond_and_a_normal_week_a_dot() -> None:
    limits = {"lower": D(0), "mean": D(1), "upper": D(2)}
    assert "<path" in _process([D(1), D(3)], tone="bad", is_signal=True, **limits)
    assert "<path" not in _process([D(1), D(2)], tone="none", is_signal=False, **limits)


def test_limit_labels_never_overlap() -> None:
    root = check(_process([D(0), D(1000)], lower=D("0.1"), mean=D("0.2"), upper=D("0.3")))
    heights = sorted(
        float(text.attrib["y"]) for text in root.iter(f"{SVG}text") if text.text in ("0.1", "0.2", "0.3")
    )
    assert all(below - above >= 11 for above, below in pairwise(heights))


def test_hostile_text_is_escaped_and_long_text_cut() -> None:
    name = '<script>alert("x")</script>' + "y" * 10_000
    picture = charts.bars("k", name, name, [(name, D(1), D(1))], figure=lambda _: name)
    assert "<script" not in picture
    assert max(len(text.text or "") for text in check(picture).iter(f"{SVG}text")) < 40


def test_an_id_holds_only_harmless_characters() -> None:
    assert 'id="a-b-c-t"' in charts.sparkline('A "b"/c', "t", "d", [])


def test_the_same_figures_give_the_same_picture() -> None:
    assert _process([D(1), D(2)]) == _process([D(1), D(2)])


def test_a_sparkline_is_this_text() -> None:
    drawn = charts.sparkline("jobs", "Jobs", "3.", [D(1), D(2), D(3)], lower=D(0), mean=D(2), upper=D(4))
    assert str(drawn).replace("><", ">\n<").splitlines() == [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 20" width="96" height="20" '
        'class="chart spark" role="img" aria-labelledby="jobs-t jobs-d">',
        '<title id="jobs-t">Jobs</title>',
        '<desc id="jobs-d">3.</desc>',
        '<rect x="0" y="4" width="96" height="12" fill="#eaeef2" class="c-band"/>',
        '<line x1="0" y1="10" x2="96" y2="10" stroke="#6e7781" stroke-width="0.7" '
        'stroke-dasharray="2 2" class="c-mean"/>',
        '<polyline points="4,13 48,10 92,7" fill="none" stroke="#24527a" stroke-width="1.3" '
        'stroke-linejoin="round" class="c-actual-line"/>',
        '<circle cx="92" cy="7" r="2.4" fill="#24527a" class="c-actual"/>',
        "</svg>",
    ]
