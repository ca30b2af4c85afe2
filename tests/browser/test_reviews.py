"""The pages and mails of all six outlines in Chromium: at two widths, light and dark."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from reports import mail, render
from reports.png import png
from tests.browser.chromium import Scheme, chromium, look
from tests.unit.review_samples import OUTLINES, large, quiet, sample

IDS = [f"{kind}-{scope}" for kind, scope in OUTLINES]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def as_shown(parts: mail.MailParts) -> str:
    """The mail's page as a mail program shows it: pictures in their places."""
    page = parts.html
    for picture in parts.pictures:
        content = base64.b64encode(png(picture.svg, width_px=1200)).decode()
        page = page.replace(f"cid:{picture.name}", f"data:image/png;base64,{content}")
    return page


@pytest.mark.parametrize(("kind", "scope"), OUTLINES, ids=IDS)
def test_a_page_is_calm_in_any_window(browser: Browser, tmp_path: Path, kind: str, scope: str) -> None:
    path = tmp_path / "review.html"
    path.write_text(render.render_html(sample(kind, scope)), encoding="utf-8")
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for width in (375, 1280):
        for scheme in schemes:
            seen = look(browser, path, width=width, scheme=scheme)
            assert (seen.requests, seen.complaints, seen.overflow, seen.full_cells) == ((), (), 0, ())
            assert seen.violations == ()


@pytest.mark.parametrize(("kind", "scope"), OUTLINES, ids=IDS)
def test_the_figures_of_a_large_platform_stay_in_their_cells(
    browser: Browser, tmp_path: Path, kind: str, scope: str
) -> None:
    review = large(sample(kind, scope, "acme docs"))
    parts = mail.review_mail(review, dates="en-GB", has_pdf=True, unsubscribe_url="https://example.com/u")
    for name, content in (("page", render.render_html(review)), ("mail", as_shown(parts))):
        path = tmp_path / f"{name}.html"
        path.write_text(content, encoding="utf-8")
        for width in (375, 800, 1280):
            seen = look(browser, path, width=width, scheme="light")
            assert (seen.overflow, seen.full_cells) == (0, ()), (name, width)


@pytest.mark.parametrize(("kind", "scope"), OUTLINES, ids=IDS)
def test_a_mail_is_calm_in_any_window(browser: Browser, tmp_path: Path, kind: str, scope: str) -> None:
    parts = mail.review_mail(
        sample(kind, scope), dates="en-GB", has_pdf=True, unsubscribe_url="https://example.com/u"
    )
    path = tmp_path / "mail.html"
    path.write_text(as_shown(parts), encoding="utf-8")
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for width in (375, 640):
        for scheme in schemes:
            seen = look(browser, path, width=width, scheme=scheme)
            assert (seen.requests, seen.complaints, seen.overflow, seen.full_cells) == ((), (), 0, ())
            assert seen.violations == ()


def test_a_quiet_page_and_a_held_notice_are_calm(browser: Browser, tmp_path: Path) -> None:
    held = mail.held_mail(kind="weekly", period="2026-W47", reason="land: the source is empty")
    for name, page in (("quiet", render.render_html(quiet())), ("held", held.html)):
        path = tmp_path / f"{name}.html"
        path.write_text(page, encoding="utf-8")
        seen = look(browser, path, width=375, scheme="dark")
        assert (seen.requests, seen.complaints, seen.overflow, seen.violations) == ((), (), 0, ())


def test_scripts_of_a_name_do_not_run(browser: Browser, tmp_path: Path) -> None:
    name = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
    path = tmp_path / "hostile.html"
    path.write_text(render.render_html(sample("weekly", "platform", name)), encoding="utf-8")
    seen = look(browser, path, width=1280, scheme="light")
    assert (seen.requests, seen.complaints) == ((), ())
    assert re.search("run", path.read_text(encoding="utf-8"))
