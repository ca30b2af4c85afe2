"""The PDFs of all six outlines: for every reader, without anything active, with their figures attached."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from reports import pdf, render
from reports.csv_cells import csv_cell
from reports.review import Review
from tests.unit.pdf_checks import attached_files, check_accessibility, check_document, printed_over
from tests.unit.review_samples import OUTLINES, large, quiet, sample

every_outline = pytest.mark.parametrize(
    ("kind", "scope"), OUTLINES, ids=[f"{kind}-{scope}" for kind, scope in OUTLINES]
)
HEAD = "<!DOCTYPE html><html lang=en><head><title>t</title></head><body><h1>a</h1>"


def draw(body: str) -> bytes:
    return pdf.write_pdf(
        f"{HEAD}{body}</body></html>",
        assets={},
        fallback_font=render.FALLBACK_FONT,
        as_of=datetime(2026, 11, 23),
    )


@every_outline
def test_a_pdf_can_be_read_by_everybody_and_does_nothing(kind: str, scope: str) -> None:
    document = render.render_pdf(sample(kind, scope))
    check_document(document, title_start=f"{kind.capitalize()} performance review, ")
    check_accessibility(document)


@pytest.mark.parametrize("size", [lambda review: review, large], ids=["small", "large"])
@every_outline
def test_nothing_is_printed_over_anything(kind: str, scope: str, size: Callable[[Review], Review]) -> None:
    assert printed_over(render.render_pdf(size(sample(kind, scope, "acme docs")))) == []


def test_what_is_printed_over_something_is_seen() -> None:
    wide = "<td style='max-width: 9mm; width: 9mm; white-space: nowrap'>"
    table = f"<table style='table-layout: fixed; width: 18mm'><tr>{wide}$1,147,836.24</td>{wide}$703,129</td>"
    assert any("836.24" in place for place in printed_over(draw(f"{table}</tr></table>")))


def test_a_quiet_pdf_too() -> None:
    check_accessibility(render.render_pdf(quiet()))


@every_outline
def test_the_figures_come_with_it(kind: str, scope: str) -> None:
    review = sample(kind, scope)
    content, said = attached_files(render.render_pdf(review))["kpis.csv"]
    assert content == render.kpis_csv(review)
    assert said["/AFRelationship"] == "/Data"
    assert said["/Desc"] == "Every metric of this review, unrounded"
    dates = said["/EF"]["/F"].get_object()["/Params"]
    moment = review.verdict.built_at_as_of.strftime("D:%Y%m%d%H%M%S")
    assert str(dates["/CreationDate"]).startswith(moment)
    assert str(dates["/ModDate"]).startswith(moment)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    told = [(row["metric"], row["value"]) for row in rows]
    assert told == [(kpi.metric, "" if kpi.value is None else format(kpi.value, "f")) for kpi in review.kpis]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@a", "\t=1", " =1", "a\n=1", "\uff1d1"])
def test_no_cell_of_them_is_a_formula(name: str) -> None:
    review = sample("weekly", "team")
    hostile = replace(review, verdict=replace(review.verdict, scope_id=name))
    rows = list(csv.DictReader(io.StringIO(render.kpis_csv(hostile).decode("utf-8"), newline="")))
    assert {row["scope_id"] for row in rows} == {csv_cell(name)}
    assert "'" in csv_cell(name)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<h3>two levels below</h3><p>text</p>", "HDG"),
        ("<ul><p>no item</p><li>an item</li></ul>", "LST"),
    ],
)
def test_a_fault_is_seen(body: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_accessibility(draw(body))


def test_an_address_is_seen() -> None:
    with pytest.raises(AssertionError, match="/URI"):
        check_document(draw("<p><a href='https://example.com'>out</a> Page 1 of 1</p>"), title_start="t")
