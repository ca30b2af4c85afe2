"""The documents: golden HTML, byte-identical PDF, nothing fetched, names of users kept harmless."""

import os
import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pypdfium2
import pytest
from jinja2 import UndefinedError

from reports import ReportError, pdf, render
from tests.unit.review_samples import sample_review

GOLDEN = Path(__file__).parents[1] / "golden" / "weekly_platform.html"

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attachment": "<link rel=attachment href=file:///etc/passwd>",
    "image": '"><img src=http://127.0.0.1:9/x onerror=alert(1)>',
    "template": "{{7*7}}",
    "style": "</style><style>@import url(http://127.0.0.1:9/x);",
    "right to left": "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "long": "x" * 10_000,
    "control": "a\x00\x07b",
    "rocket": "\N{ROCKET} команда 数据",
}


def _text(document: bytes) -> list[str]:
    """The text of each page, as a reader of the PDF finds it."""
    with pypdfium2.PdfDocument(document) as opened:
        return [page.get_textpage().get_text_bounded() for page in opened]


def _without_fonts(html: str) -> str:
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,…", html)


def test_the_page_is_the_golden_one() -> None:
    html = _without_fonts(render.render_weekly_html(sample_review()))
    if os.environ.get("ALMANAC_UPDATE_GOLDEN"):
        GOLDEN.write_text(html, encoding="utf-8")
    assert html == GOLDEN.read_text(encoding="utf-8"), (
        "run with ALMANAC_UPDATE_GOLDEN=1 and look at the difference"
    )


def test_the_page_stands_alone() -> None:
    html = render.render_weekly_html(sample_review())
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)|url\(["']?([^"')]+)""", html)
    assert {address[:5] for pair in addresses for address in pair if address} == {"data:"}
    assert "asset:" not in html
    assert "style=" not in html
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_a_figure_that_is_not_known_is_never_a_zero() -> None:
    html = render.render_weekly_html(sample_review())
    assert "<td>not known</td>" in html
    assert "<td>n/a</td>" in html
    assert "None" not in html


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_name_stays_text(name: str) -> None:
    review = sample_review(name)
    html = render.render_weekly_html(review)
    for harmful in (
        "<script",
        "<link",
        "<img",
        "<style>@import",
        "x" * 100,
        "\N{RIGHT-TO-LEFT OVERRIDE}",
        "\x00",
    ):
        assert harmful not in html
    assert name != HOSTILE["template"] or "{{7*7}}" in html


@pytest.mark.parametrize("kind", ["attachment", "long", "rocket"])
def test_a_hostile_name_leaves_the_pdf_whole(kind: str) -> None:
    pages = _text(render.render_weekly_pdf(sample_review(HOSTILE[kind])))
    assert "root:" not in "".join(pages)
    assert 3 <= len(pages) <= 5


def test_the_same_review_gives_the_same_bytes() -> None:
    first, second = (render.render_weekly_pdf(sample_review()) for _ in range(2))
    assert first == second


def test_the_pdf_says_what_the_page_says() -> None:
    pages = _text(render.render_weekly_pdf(sample_review()))
    everything = " ".join(" ".join(pages).split())
    assert 3 <= len(pages) <= 5
    assert "Failure rate and client cost left their normal range" in everything
    assert f"Page 1 of {len(pages)}" in pages[0]
    assert "What changed" in pages[0]
    for section in (
        "Process behaviour",
        "Cost and jobs",
        "Credits",
        "Latency",
        "Failures by class",
        "Definitions",
    ):
        assert section in everything
    assert "команда-β" in everything


def test_the_pdf_is_tagged_dated_and_has_only_bundled_fonts() -> None:
    document = render.render_weekly_pdf(sample_review())
    with pypdfium2.PdfDocument(document) as opened:
        assert opened.get_metadata_dict()["Title"] == "Weekly performance review, platform, 2026-W47"
        assert "20261123020000" in opened.get_metadata_dict()["CreationDate"]
        assert opened.is_tagged()
    fonts = {name.decode() for name in re.findall(rb"/BaseFont ?/[A-Z]{6}\+([A-Za-z-]+)", document)}
    assert {re.split(r"-|Regular|Bold", name)[0] for name in fonts} <= {
        "Inter",
        "Report",
        "DejaVuSans",
        "DejaVu",
    }


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "http://127.0.0.1:9/x",
        "asset:other.woff2",
        "data:text/css,body{}",
        "asset:../pdf.py",
    ],
)
@pytest.mark.parametrize(
    "tag", ["<link rel=stylesheet href='{}'>", "<link rel=attachment href='{}'>", "<img alt=a src='{}'>"]
)
def test_an_outside_address_stops_the_render(address: str, tag: str) -> None:
    html = f"<html lang=en><head><title>t</title>{tag.format(address)}</head><body><p>a</p></body></html>"
    with pytest.raises(ReportError, match="not one of its assets"):
        pdf.write_pdf(html, assets={}, fallback_font=render.FALLBACK_FONT, as_of=datetime(2026, 1, 1))


def test_what_weasyprint_would_ignore_is_an_error() -> None:
    html = "<html lang=en><title>t</title><style>p { aspect-ratio: 1 }</style><body><p>a</p></html>"
    with pytest.raises(ReportError, match="aspect-ratio"):
        pdf.write_pdf(html, assets={}, fallback_font=render.FALLBACK_FONT, as_of=datetime(2026, 1, 1))


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    monkeypatch.delenv("FONTCONFIG_FILE", raising=False)
    render.render_weekly_pdf(sample_review())
    assert os.environ["SOURCE_DATE_EPOCH"] == "1"
    assert "FONTCONFIG_FILE" not in os.environ


def test_a_field_that_is_not_given_is_an_error() -> None:
    template = render._environment().from_string("{{ review.not_there }}")
    with pytest.raises(UndefinedError):
        template.render(review=sample_review())


def test_an_empty_platform_still_has_a_review() -> None:
    review = sample_review()
    bare = replace(
        review,
        kpis=tuple(
            replace(
                kpi,
                value=None,
                previous_value=None,
                change=None,
                mean_value=None,
                lower_limit=None,
                upper_limit=None,
                status="not enough data",
                tone="none",
                signal_position=None,
                points=(),
            )
            for kpi in review.kpis
        ),
        drivers=(),
        models=(),
        teams=(),
        job_types=(),
        errors=(),
        credits=(),
        latency=(),
        findings=(),
        verdict=replace(review.verdict, signal_count=0, client_cost_change_usd=Decimal(0)),
    )
    assert "No successful call." in render.render_weekly_html(bare)
    assert len(_text(render.render_weekly_pdf(bare))) >= 3
