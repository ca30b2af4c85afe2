"""Runs that a scheduler asks for: their endings, in words, without any scheduler."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from flows import scheduled_runs
from flows.coverage import Coverage
from flows.locking import only_writer
from flows.nightly import Night, Step
from flows.progress import LineProgress, SilentProgress
from flows.scheduled_runs import Ending, NightWish, Outcome, RecalculationWish
from flows.settings import Settings, load_settings

DUE_AT = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    source = tmp_path / "source"
    source.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALMANAC_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ALMANAC_SOURCE", str(source))
    return load_settings()


def publish(settings: Settings, *, as_of: datetime) -> None:
    """A published warehouse that says what it covers, and nothing else."""
    settings.data_dir.mkdir()
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("create schema kept")
        connection.execute(f"create table kept.coverage ({Coverage.COLUMNS})")
        connection.execute(
            "insert into kept.coverage values (1, ?, ?, 'UTC', 'models', null)", [as_of, as_of]
        )


def directly(step: Step, night: Night) -> None:
    step.run(night)


def run(now: datetime = DUE_AT, due_at: datetime = DUE_AT, as_of: datetime | None = None) -> Outcome:
    wish = NightWish(now=now, due_at=due_at, as_of=as_of)
    return scheduled_runs.run_nightly(wish, progress=SilentProgress(), perform=directly)


def test_a_night_that_is_published_already_does_nothing(settings: Settings) -> None:
    publish(settings, as_of=datetime(2026, 11, 23))
    before = settings.warehouse_path.read_bytes()
    outcome = run(as_of=datetime(2026, 11, 23, 1, tzinfo=timezone(timedelta(hours=1))))
    assert outcome.ending is Ending.ALREADY_PUBLISHED
    assert "2026-11-23 00:00:00 UTC" in outcome.message
    assert settings.warehouse_path.read_bytes() == before


@pytest.mark.parametrize(
    ("published", "ending"),
    [
        (datetime(2026, 11, 23, 2, 29, 59), Ending.FAILED),  # it sets to work, and the source is empty
        (datetime(2026, 11, 23, 2, 30), Ending.ALREADY_PUBLISHED),
        (datetime(2026, 11, 25, 2, 30), Ending.ALREADY_PUBLISHED),
    ],
)
def test_of_the_runs_missed_in_an_outage_only_the_first_does_the_work(
    settings: Settings, published: datetime, ending: Ending
) -> None:
    publish(settings, as_of=published)
    assert run(now=DUE_AT + timedelta(days=2)).ending is ending


@pytest.mark.parametrize("flag", ["full_refresh", "accept_deletes"])
def test_a_night_asked_for_in_full_is_run_again(settings: Settings, flag: str) -> None:
    publish(settings, as_of=datetime(2026, 11, 23))
    wish = NightWish(now=DUE_AT, due_at=DUE_AT, as_of=datetime(2026, 11, 23), **{flag: True})
    outcome = scheduled_runs.run_nightly(wish, progress=SilentProgress(), perform=directly)
    assert outcome.ending is Ending.FAILED


def test_a_second_run_is_busy_and_names_the_first(settings: Settings) -> None:
    with only_writer(settings, kind="nightly", as_of=datetime(2026, 11, 23)):
        outcome = run()
    assert outcome.ending is Ending.BUSY
    assert "nightly" in outcome.message


def test_a_failed_night_says_why_and_what_is_left(settings: Settings) -> None:
    outcome = run()
    assert outcome.ending is Ending.FAILED
    assert settings.source is not None
    assert settings.source in outcome.message
    page = scheduled_runs.as_markdown(outcome)
    assert f"    {outcome.message.splitlines()[0]}" in page.splitlines()
    assert "last good night is still published" in page


def test_a_wrong_setting_is_a_failure_with_its_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALMANAC_REPORTING_TIMEZONE", "Mars/Phobos")
    outcome = run()
    assert outcome.ending is Ending.FAILED
    assert "ALMANAC_REPORTING_TIMEZONE" in outcome.message
    assert not settings.data_dir.exists()


def test_an_unexpected_error_is_a_line_and_its_secret_stays_out_of_log_and_line(settings: Settings) -> None:
    def fail(step: Step, night: Night) -> None:
        raise ValueError("boom api_key=sk-abcdefghijklmnop")

    wish = NightWish(now=DUE_AT, due_at=DUE_AT)
    outcome = scheduled_runs.run_nightly(wish, progress=SilentProgress(), perform=fail)
    (log,) = settings.logs_dir.iterdir()
    assert outcome.message == f"an unexpected error (ValueError). The details are in {log}"
    text = log.read_text()
    assert "ValueError: boom" in text
    assert "sk-abcdefghijklmnop" not in text


@pytest.mark.parametrize(
    ("first", "last", "why"),
    [
        (date(2026, 11, 2), date(2026, 11, 1), "Give the earlier day first"),
        (date(2026, 11, 1), date(2026, 11, 2), "almanac nightly"),
        (date(2026, 11, 1), date.max, "Give the earlier day first"),
    ],
)
def test_a_recalculation_that_cannot_be_says_why(
    settings: Settings, first: date, last: date, why: str
) -> None:
    wish = RecalculationWish(now=DUE_AT, first_day=first, last_day=last)
    outcome = scheduled_runs.run_recalculate(wish, progress=SilentProgress(), perform=directly)
    assert outcome.ending is Ending.FAILED
    assert why in outcome.message


def test_no_text_becomes_a_part_of_the_page() -> None:
    message = "<script>alert(1)</script> [x](javascript:y) `z`\n# heading\n| a | b |"
    failed = scheduled_runs.as_markdown(Outcome(Ending.FAILED, message))
    assert all(f"    {line}" in failed.splitlines() for line in message.splitlines())
    busy = scheduled_runs.as_markdown(Outcome(Ending.BUSY, message))
    assert r"\<script\>alert\(1\)\</script\> \[x\]\(javascript:y\) \`z\` \# heading \| a \| b \|" in busy


def test_progress_goes_line_by_line_to_whoever_takes_it() -> None:
    lines: list[str] = []
    with LineProgress(lines.append).stage("land", 4) as advance:
        advance(1, "jobs")
        advance(1)
        advance(2, "calls")
    assert lines == ["land ...", "land: jobs (25 %)", "land: calls (100 %)", "land: done"]
