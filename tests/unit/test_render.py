"""The documents of all six outlines: golden, byte-identical, nothing fetched, names harmless."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pypdf
import pypdfium2
import pytest
from jinja2 import UndefinedError

from reports import ReportError, formats, mail, pdf, render
from reports.review import Edition, Review
from tests.unit.review_samples import AS_OF, OUTLINES, large, quiet, sample

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
IDS = [f"{kind}-{scope}" for kind, scope in OUTLINES]
every_outline = pytest.mark.parametrize(("kind", "scope"), OUTLINES, ids=IDS)

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
    "formula": '=HYPERLINK("http://127.0.0.1:9/x")',
    "header": "=?utf-8?q?a=0D=0ABcc:_evil@x.example?=",
}


LISTS = (
    *("trends", "drivers", "bridge", "models", "parts", "errors", "failed_jobs", "slow_calls", "latency"),
    *("credits", "statement", "balances", "restatements", "decisions", "cohorts", "model_shares"),
    *("forecasts", "findings"),
)


def text_of(document: bytes) -> list[str]:
    """The text of each page, as a reader of the PDF finds it."""
    with pypdfium2.PdfDocument(document) as opened:
        return [page.get_textpage().get_text_bounded() for page in opened]


def review_mail(review: Review, **more: object) -> mail.MailParts:
    return mail.review_mail(review, **{"dates": "en-GB", "has_pdf": True, **more})  # type: ignore[arg-type]


def require_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("ALMANAC_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        f"{name}: run with ALMANAC_UPDATE_GOLDEN=1 and look at the difference"
    )


def test_the_platforms_week_is_the_golden_page() -> None:
    html = re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,…", render.render_html(sample()))
    require_golden("weekly_platform.html", html)


@every_outline
def test_the_mails_text_is_the_golden_one(kind: str, scope: str) -> None:
    parts = review_mail(sample(kind, scope), unsubscribe_url="https://almanac.example.com/u?token=t")
    require_golden(f"{kind}_{scope}.txt", f"{parts.subject}\n\n{parts.text}")
    assert max(map(len, parts.text.splitlines())) <= 90


@every_outline
def test_a_page_stands_alone(kind: str, scope: str) -> None:
    html = render.render_html(sample(kind, scope))
    addresses = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)|url\(["']?([^"')]+)""", html)
    assert {address[:5] for pair in addresses for address in pair if address} == {"data:"}
    assert "asset:" not in html
    assert "style=" not in html
    assert "None" not in html
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    levels = [int(level) for level in re.findall(r"<h(\d)", html)]
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_a_figure_that_is_not_known_is_never_a_zero() -> None:
    html = render.render_html(sample())
    assert ">not known</td>" in html
    assert "<td>n/a</td>" in html


@pytest.mark.parametrize("scope", ["organization", "team"])
@pytest.mark.parametrize("kind", ["weekly", "monthly"])
def test_a_tenant_sees_no_word_of_what_providers_charge(kind: str, scope: str) -> None:
    review = sample(kind, scope)
    parts = review_mail(review)
    for sink in (render.render_html(review), parts.html, parts.text, render.kpis_csv(review).decode()):
        seen = re.sub(r'<style>.*?</style>| style="[^"]*"', "", sink, flags=re.DOTALL)
        for word in ("provider cost", "provider_cost", "margin", "platform"):
            assert word not in seen.lower().replace("retries inside the platform", "").replace(
                "the platform’s", ""
            )


# --- numbers ------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+−]?[×$<]*\d+(?:,\d{3})*(?:\.\d+)?")
# Constants of the page itself: what a definition says in words of numbers, and shades of a bar.
_CONSTANTS = {"7", "14", "28", "50", "80", "100", "1,000", "95", "99", "1"}
_CONSTANTS |= {"$10,000", "1.00"}  # reports.formats.WHOLE_DOLLARS_FROM, THREE_FIGURES_FROM


def figures_of(review: Review) -> set[str]:
    """Every number that may be printed: all fields of the review in every way to print one."""
    values: set[Decimal | int] = set()
    texts: set[str] = set()

    def collect(thing: object) -> None:
        if isinstance(thing, bool) or thing is None:
            return
        if isinstance(thing, int | Decimal):
            values.add(thing)
        elif isinstance(thing, str):
            texts.add(thing)
        elif isinstance(thing, date | datetime):
            texts.update(
                (
                    f"{thing:%Y-%m-%d %H:%M}",
                    formats.day(thing),
                    formats.iso_week(thing),
                    formats.short_month(thing),
                )
            )
        elif isinstance(thing, tuple):
            for part in thing:
                collect(part)
        else:
            for name in thing.__slots__:  # type: ignore[attr-defined]
                collect(getattr(thing, name))

    collect(review)
    verdict = review.verdict
    texts.add(formats.days_between(verdict.period_start_date, verdict.period_end_date))
    printed = set(_CONSTANTS)
    for value in values:
        for variant in (value, -value):
            for way in (
                *(formats.count, formats.average, formats.compact, formats.percent, formats.signed_percent),
                *(
                    formats.signed_points,
                    formats.usd,
                    formats.signed_usd,
                    formats.unit_usd,
                    formats.milliseconds,
                ),
                *(
                    formats.seconds,
                    formats.factor,
                    formats.signed_count,
                    formats.cell_usd,
                    formats.availability,
                ),
            ):
                printed.update(_NUMBER.findall(way(variant)))
            for unit in ("count", "usd"):
                printed.update(_NUMBER.findall(formats.short_figure(variant, unit)))
    printed.update(_NUMBER.findall(formats.count(verdict.baseline_periods + 1)))
    for text in texts:
        printed.update(_NUMBER.findall(text))
    return {number.lstrip("+−×<") for number in printed}


def visible(html: str) -> str:
    body = re.sub(r"<(style|title|desc)[^>]*>.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"<[^>]+>", " ", body)


@pytest.mark.parametrize("size", [lambda review: review, large], ids=["small", "large"])
@every_outline
def test_every_number_on_paper_is_one_of_the_marts(
    kind: str, scope: str, size: Callable[[Review], Review]
) -> None:
    review = size(sample(kind, scope, "acme docs"))
    parts = review_mail(review)
    pages = "\n".join(re.sub(r"Page \d+ of \d+", "", page) for page in text_of(render.render_pdf(review)))
    known = figures_of(review)
    for sink, text in (
        ("page", visible(render.render_html(review))),
        ("mail", visible(parts.html)),
        ("text", parts.text),
        ("PDF", pages.replace("\u2009", " ")),
    ):
        # names and labels hold digits, too
        said = re.sub(
            r"p\d\d|gpt-5|[0-9a-f]{8}-[0-9a-f-]+|8f3c1e2a|8b7220f1|W\d\d|scale starts at \S+", " ", text
        )
        unknown = {
            number.lstrip("+−×<") for number in _NUMBER.findall(said) if number.lstrip("+−×<") not in known
        }
        assert unknown == set(), f"{sink} prints numbers that no mart gave"


# --- hostile names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
@every_outline
def test_a_hostile_name_stays_text(kind: str, scope: str, name: str) -> None:
    review = sample(kind, scope, name)
    parts = review_mail(review)
    for page in (render.render_html(review), parts.html):
        for harmful in ("<script", "<link", "<img src=http", "<style>@import", "x" * 100):
            assert harmful not in page
        assert not set("\N{RIGHT-TO-LEFT OVERRIDE}\x00\x07") & set(page)
        assert name != HOSTILE["template"] or "{{7*7}}" in page
    assert not set("\N{RIGHT-TO-LEFT OVERRIDE}\x00\x07\r") & set(parts.text + parts.subject)
    assert "\n" not in parts.subject
    assert "=?" not in parts.subject
    tables = render.kpis_csv(review) + render.parts_csv(review)
    for row in csv.reader(io.StringIO(tables.decode())):
        assert not any(re.match(r"\s*[=+@]", cell) for cell in row)


@pytest.mark.parametrize("kind", ["attachment", "long", "rocket"])
def test_a_hostile_name_leaves_the_pdf_whole(kind: str) -> None:
    pages = text_of(render.render_pdf(sample("weekly", "organization", HOSTILE[kind])))
    assert "root:" not in "".join(pages)
    assert 2 <= len(pages) <= 5


# --- documents ----------------------------------------------------------------------------------------------


@every_outline
def test_the_same_review_gives_the_same_bytes(kind: str, scope: str) -> None:
    first, second = (render.render_pdf(sample(kind, scope)) for _ in range(2))
    assert first == second


def test_the_same_bytes_in_any_zone_and_locale(tmp_path: Path) -> None:
    code = (
        "import hashlib; from tests.unit.test_render import *;"
        "review = sample('monthly', 'organization'); parts = review_mail(review);"
        "print(*(hashlib.sha256(part).hexdigest() for part in (render.render_html(review).encode(),"
        "render.render_pdf(review), parts.html.encode(), parts.text.encode(), render.kpis_csv(review))))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone, locale, seed, folder in (
            ("UTC", "C", "1", tmp_path),
            ("America/New_York", "de_DE.UTF-8", "2", "/tmp"),
            ("Asia/Kolkata", "C", "3", tmp_path),
            ("Pacific/Apia", "de_DE.UTF-8", "4", "/tmp"),
            ("Australia/Lord_Howe", "C", "5", tmp_path),
        )
    }
    assert len(printed) == 1


@every_outline
def test_the_pdf_says_what_the_page_says(kind: str, scope: str) -> None:
    review = sample(kind, scope)
    pages = text_of(render.render_pdf(review))
    everything = " ".join(" ".join(pages).split())
    page = render.render_html(review)
    assert len(pages) <= 6
    assert "Failure rate and client cost left their normal range" in everything
    assert f"Page 1 of {len(pages)}" in pages[0]
    for section in re.findall(r"<h2>([^<]+)</h2>", page):
        assert section in everything
    assert "команда-β" in everything


@every_outline
def test_the_pdf_is_tagged_dated_and_has_only_bundled_fonts(kind: str, scope: str) -> None:
    review = sample(kind, scope)
    document = render.render_pdf(review)
    read = pypdf.PdfReader(io.BytesIO(document))
    catalog: Any = read.trailer["/Root"].get_object()
    assert catalog["/MarkInfo"]["/Marked"]
    assert catalog["/Lang"] == "en"
    assert read.metadata is not None
    assert str(read.metadata.title).startswith(f"{kind.capitalize()} performance review, ")
    assert read.metadata.creation_date_raw == "D:20261123020000Z"
    first = next(entry for entry in read.outline if not isinstance(entry, list))
    assert str(first.title).startswith("Failure")
    assert dict(read.attachments).keys() == {"kpis.csv", "parts.csv"}
    assert read.attachments["parts.csv"][0] == render.parts_csv(review)
    assert read.attachments["kpis.csv"][0] == render.kpis_csv(review)
    fonts = {name.decode() for name in re.findall(rb"/BaseFont ?/[A-Z]{6}\+([A-Za-z-]+)", document)}
    assert {re.split(r"-|Regular|Bold", name)[0] for name in fonts} <= {
        "Inter",
        "Report",
        "DejaVuSans",
        "DejaVu",
    }
    assert b"/JavaScript" not in document
    assert b"/URI" not in document


def test_a_later_edition_says_what_it_replaces_and_why() -> None:
    changed = (("Jobs", "count", Decimal(5435), Decimal(5441)),)
    review = replace(sample(), edition=Edition(2, AS_OF, "rows came late on 2 days of it.", changed))
    page, parts = render.render_html(review), review_mail(review)
    for sink in (visible(page), visible(parts.html), parts.text):
        assert "rows came late on 2 days of it." in " ".join(sink.split())
    assert '<td>5,435</td><td class="value">5,441</td>' in page
    assert "edition 2" in parts.subject


def test_a_quiet_tenant_gets_one_paragraph() -> None:
    review = quiet()
    assert len(text_of(render.render_pdf(review))) == 1
    parts = review_mail(review)
    assert "created no job and made no model call" in parts.text
    assert len(parts.text) < 800
    assert parts.pictures == ()


def test_dates_are_in_the_recipients_locale() -> None:
    review = sample("monthly", "team")
    assert "Nov 25, 2026" in render.render_html(review, dates="en-US")
    assert "2026-11-25" in visible(render.render_html(review, dates="iso"))
    assert "25 Nov 2026" in render.render_html(review)


def test_a_mail_is_small_and_keeps_its_dark_mode() -> None:
    for kind, scope in OUTLINES:
        html = review_mail(sample(kind, scope)).html
        assert len(html.encode()) < 30_000
        assert "prefers-color-scheme:dark" in html.replace(" ", "")
        assert "<svg" not in html
        assert "http" not in re.sub(r"xmlns=\S+", "", html)
        assert html.count("<img") <= 2
        assert all("alt=" in image for image in re.findall(r"<img[^>]*>", html))


def test_a_held_notice_says_why_and_what_to_do() -> None:
    parts = mail.held_mail(kind="weekly", period="2026-W47", reason="land: the <source>\nis empty")
    assert "land: the <source> is empty" in parts.text
    assert "&lt;source&gt;" in parts.html
    assert "almanac nightly" in parts.text


# --- the closed renderer ------------------------------------------------------------------------------------


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
    render.render_pdf(sample())
    assert os.environ["SOURCE_DATE_EPOCH"] == "1"
    assert "FONTCONFIG_FILE" not in os.environ


def test_a_field_that_is_not_given_is_an_error() -> None:
    template = render.environment("en-GB").from_string("{{ review.not_there }}")
    with pytest.raises(UndefinedError):
        template.render(review=sample())


@every_outline
def test_a_review_without_a_past_is_drawn(kind: str, scope: str) -> None:
    review = sample(kind, scope)
    bare = replace(
        review,
        kpis=tuple(
            replace(
                kpi,
                value=None,
                previous_value=None,
                change=None,
                change_per_day=None,
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
        **dict.fromkeys(LISTS, ()),  # type: ignore[arg-type]
        verdict=replace(review.verdict, signal_count=0, client_cost_change_usd=Decimal(0), is_first=True),
    )
    assert "not a whole one" in render.render_html(bare)
    assert len(text_of(render.render_pdf(bare))) >= 1
    assert review_mail(bare).text
