"""Mails of notices in Chromium, with long queries and names: at two widths, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from reports.notice_mail import notice_mail
from tests.browser.chromium import chromium, look
from tests.notice_samples import member, notice

QUERY = "select job_id, count(*) as calls from marts.fct_llm_calls where $scope_id in (team_id, model) " * 5
ONE_WORD = "a_column_without_any_place_to_break_it_" * 40


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("query", [QUERY, ONE_WORD], ids=["long", "one word"])
def test_a_mail_of_a_notice_fits_any_window(browser: Browser, tmp_path: Path, query: str) -> None:
    given = notice(
        member(
            scope_kind="organization",
            scope_name="Wörter" * 12,
            organization_name="Wörter" * 12,
            evidence_columns=("job_id", "error"),
            evidence_rows=(("j" * 60, "e" * 60),) * 5,
            evidence_query=query,
            sql="select 1\n" * 2_000,
            parameters={"scope_id": "s" * 200, "window_start": "2026-11-22 00:00:00"},
        ),
        member(event="reminded", reminder_number=2),
        member(event="resolved"),
        omitted={"info": 3},
    )
    path = tmp_path / "mail.html"
    for runbooks in ("https://wiki.example.com/alerts", "docs/alerts.md"):
        path.write_text(notice_mail(given, runbooks=runbooks).html, encoding="utf-8")
        for width in (375, 640):
            for scheme in ("light", "dark"):
                seen = look(browser, path, width=width, scheme=scheme)
                assert (seen.overflow, seen.full_cells, seen.violations) == (0, (), ()), (width, scheme)
                assert (seen.requests, seen.complaints) == ((), ())
