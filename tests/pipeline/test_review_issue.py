"""Reviews are issued once, anew when figures change, held when a night is not good, and kept as sent."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import select

from flows import review_issue, reviews
from flows.archive import documents_of, find_editions, read_document
from flows.errors import AlmanacError
from flows.ops_store import deliveries, open_ops_store
from flows.progress import SilentProgress
from flows.review_documents import Order, make_documents
from flows.review_run import hold_due, issue_due, send_outbox
from flows.review_scopes import Kind
from flows.settings import Settings
from tests.published import TAPE_AS_OF, Published

RECIPIENTS = """\
sender: {from: almanac@example.com, bounces: b@example.com, list_domain: example.com}
operators: [ops@example.com]
reviews:
  - {scope: platform, to: [owner@example.com, second@example.com], dates: iso}
  - {scope: "organization:org_acme", to: [finance@acme.example]}
  - {scope: "team:acme-docs", to: [docs@acme.example], send: [weekly]}
  - {scope: "team:nobody", to: [nobody@example.com]}
"""


@pytest.fixture
def settings(published: Published, tmp_path: Path) -> Settings:
    """A data folder of the test's own with the published tape, and recipients."""
    shutil.copy(published.settings.warehouse_path, tmp_path)
    (tmp_path / "recipients.yml").write_text(RECIPIENTS, encoding="utf-8")
    return published.settings.model_copy(
        update={"data_dir": tmp_path, "recipients": tmp_path / "recipients.yml"}
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PDFs: what issuing does is under test, and drawing is in its own tests."""
    monkeypatch.setattr(reviews, "ALONE_UP_TO", 1000)

    def draw(order: Order) -> Any:
        return make_documents(replace(order, with_pdf=False))

    monkeypatch.setattr(reviews, "make_documents", draw)


def run(settings: Settings, as_of: datetime = TAPE_AS_OF) -> Any:
    report = issue_due(settings, as_of, SilentProgress())
    report.delivered = send_outbox(settings)
    return report


def mails(settings: Settings) -> list[Path]:
    return sorted(settings.outbox_dir.rglob("*.eml"))


def change(settings: Settings, sql: str) -> None:
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(sql)


def editions(settings: Settings, **what: str) -> list[Any]:
    with open_ops_store(settings).transaction() as connection:
        return find_editions(connection, **what)


def test_the_week_and_the_month_are_issued_once(settings: Settings) -> None:
    report = run(settings)
    assert report.held == []
    issued = {(edition.kind, edition.scope) for edition in report.issued.editions}
    assert issued == {
        *(("weekly", scope) for scope in ("platform", "organization:org_acme", "team:acme-docs")),
        *(("monthly", scope) for scope in ("platform", "organization:org_acme")),
    }
    assert len(mails(settings)) == 7
    assert report.delivered.sent == 7
    again = run(settings)
    assert (again.issued.editions, again.delivered.sent) == ([], 0)
    assert len(mails(settings)) == 7


def test_a_recipient_gets_their_own_mail_in_their_own_dates(settings: Settings) -> None:
    run(settings)
    read = [message_from_bytes(path.read_bytes(), policy=default) for path in mails(settings)]
    assert all(str(mail["To"]).count("@") == 1 for mail in read)
    assert all(mail["Cc"] is None and mail["Bcc"] is None for mail in read)
    assert len({str(mail["Message-ID"]) for mail in read}) == 7
    owner = next(mail for mail in read if mail["To"] == "owner@example.com" and "Weekly" in mail["Subject"])
    text = owner.get_body(("plain",))
    assert text is not None
    assert "2026-11-16 – 2026-11-22" in text.get_content()
    for path in mails(settings):
        if "acme" in path.name:
            assert b"globex" not in path.read_bytes()


def test_what_was_issued_is_kept_byte_for_byte_although_files_are_gone(settings: Settings) -> None:
    run(settings)
    page = settings.reviews_dir / "weekly" / "2026-W47" / "platform.html"
    was = page.read_bytes()
    (edition,) = editions(settings, kind="weekly", scope="platform")
    with open_ops_store(settings).transaction() as connection:
        kept = {(one.name, one.dates): one.sha256 for one in documents_of(connection, edition)}
        assert read_document(connection, kept[("review.html", "en-GB")]) == was
        sent = connection.execute(select(deliveries.outbox.c.message_sha256)).scalars().all()
        assert {read_document(connection, digest) for digest in sent} == {
            path.read_bytes() for path in mails(settings)
        }
    page.unlink()
    run(settings)
    assert page.read_bytes() == was


def test_figures_that_changed_make_another_edition_that_says_what_and_why(settings: Settings) -> None:
    run(settings)
    change(
        settings,
        "update reviews.review_kpis set value = value + 40 where review_kind = 'weekly' "
        "and metric = 'job_count' and scope_kind = 'platform' and period_start_date = date '2026-11-16';"
        "insert into marts.restatements (team_id, period_start_date, measure, cause, restated_as_of) "
        "select 'acme-docs', date '2026-11-17', 'job_count', 'rows_added', timestamp '2026-11-24'",
    )
    report = run(settings)
    (edition,) = report.issued.editions
    assert (edition.edition, edition.is_material) == (2, True)
    assert edition.reason == "rows came late on 1 day of it."
    page = (settings.reviews_dir / "weekly" / "2026-W47" / "platform.html").read_text(encoding="utf-8")
    assert "Edition 2" in page
    assert "rows came late on 1 day of it." in page
    assert '<td>320</td><td class="value">360</td>' in page
    assert report.delivered.sent == 2
    assert any(
        "edition 2" in str(message_from_bytes(p.read_bytes(), policy=default)["Subject"])
        for p in mails(settings)
    )
    assert run(settings).issued.editions == []


@pytest.mark.parametrize(("corrections", "mailed"), [("material", 0), ("all", 2), ("none", 0)])
def test_a_small_correction_is_kept_and_mailed_only_where_all_are_wanted(
    settings: Settings, corrections: str, mailed: int
) -> None:
    run(settings)
    assert settings.recipients is not None
    settings.recipients.write_text(f"corrections: {corrections}\n{RECIPIENTS}", encoding="utf-8")
    # 0.9 per cent
    change(
        settings,
        "update reviews.review_kpis set value = value * 1.009 where review_kind = 'weekly' and "
        "metric = 'total_tokens' and scope_kind = 'platform' and period_start_date = date '2026-11-16'",
    )
    report = run(settings)
    assert [(edition.edition, edition.is_material) for edition in report.issued.editions] == [(2, False)]
    assert report.delivered.sent == mailed


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("update reviews.review_verdicts set is_complete = false", "not complete"),
        (
            "delete from reviews.review_verdicts where period_start_date >= date '2026-10-01'",
            "does not reach",
        ),
        (
            "update reviews.review_verdicts set has_activity = false where period_start_date in "
            "(date '2026-11-16', date '2026-10-01')",
            "is empty",
        ),
    ],
    ids=["open", "behind", "empty"],
)
def test_a_night_that_is_not_good_sends_one_notice_and_no_review(
    settings: Settings, published: Published, sql: str, told: str
) -> None:
    change(settings, sql)
    first = run(settings)
    assert len(first.held) == 2
    assert all(told in line for line in first.held)
    assert first.issued.editions == []
    read = [message_from_bytes(path.read_bytes(), policy=default) for path in mails(settings)]
    assert sorted(str(mail["Subject"]) for mail in read) == [
        "Held: the monthly review 2026-10 is not sent",
        "Held: the weekly review 2026-W47 is not sent",
    ]
    assert {str(mail["To"]) for mail in read} == {"ops@example.com"}
    assert run(settings).delivered.sent == 0, "the same notice twice"
    # the night is good again
    shutil.copy(published.settings.warehouse_path, settings.warehouse_path)
    released = run(settings)
    assert (len(released.issued.editions), released.delivered.sent) == (5, 7)


def test_a_failed_night_tells_the_operators_once_what_waits(settings: Settings) -> None:
    for reason in ("land: the source does not answer", "audit: 3 checks failed"):
        hold_due(settings, TAPE_AS_OF, reason)
    read = [message_from_bytes(path.read_bytes(), policy=default) for path in mails(settings)]
    assert len(read) == 2
    text = read[0].get_body(("plain",))
    assert text is not None
    assert "the source does not answer" in " ".join(text.get_content().split())
    run(settings)
    before = len(mails(settings))
    hold_due(settings, TAPE_AS_OF, "a night after the review went out")
    assert len(mails(settings)) == before


def test_without_recipients_the_platforms_pages_are_drawn_and_nothing_is_sent(settings: Settings) -> None:
    alone = settings.model_copy(update={"recipients": None})
    report = run(alone)
    assert {edition.scope for edition in report.issued.editions} == {"platform"}
    assert mails(alone) == []


def test_one_tenant_that_cannot_be_drawn_stops_no_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(reviews, "make_documents")  # noqa: B009 - as the fixture left it

    def draw(order: Order) -> Any:
        from reports import ReportError

        if order.scope == "organization:org_acme":
            raise ReportError("a bomb")
        return real(order)

    monkeypatch.setattr(reviews, "make_documents", draw)
    report = run(settings)
    assert {edition.scope for edition in report.issued.editions} == {"platform", "team:acme-docs"}
    assert len(report.issued.failures) == 2
    with pytest.raises(AlmanacError, match="a bomb"):
        review_issue.require_all(report.issued)
    monkeypatch.setattr(reviews, "make_documents", real)
    assert {edition.scope for edition in run(settings).issued.editions} == {"organization:org_acme"}


def test_a_pdf_that_cannot_be_drawn_leaves_the_mail_and_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports import ReportError

    real = getattr(reviews, "make_documents")  # noqa: B009 - as the fixture left it

    def draw(order: Order) -> Any:
        if order.with_pdf:
            raise ReportError("out of memory")
        return real(order)

    monkeypatch.setattr(reviews, "make_documents", draw)
    report = run(settings)
    assert report.delivered.sent == 7
    assert all("went without its PDF" in failure for failure in report.issued.failures)
    assert "The PDF could not be made this time." in message_from_bytes(
        mails(settings)[0].read_bytes(), policy=default
    ).get_body(("plain",)).get_content().replace("\n", " ")  # type: ignore[union-attr]


def test_kinds_are_due_when_their_last_period_has_ended() -> None:
    from flows.review_readiness import due_period

    as_of = datetime(2026, 11, 1, 22, 59)
    assert due_period(Kind.MONTHLY, as_of, "UTC").label == "2026-10"
    assert due_period(Kind.WEEKLY, as_of, "UTC").label == "2026-W43"
    # Monday in Berlin, Sunday in Honolulu
    late = datetime(2026, 11, 1, 23, 30)
    assert due_period(Kind.WEEKLY, late, "Europe/Berlin").label == "2026-W44"
    assert due_period(Kind.MONTHLY, datetime(2026, 11, 1, 5), "Pacific/Honolulu").label == "2026-09"
