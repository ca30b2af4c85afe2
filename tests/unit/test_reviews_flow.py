"""Which week can be reviewed, and what the error says when one cannot."""

from pathlib import Path

import duckdb
import pytest

from flows.errors import AlmanacError
from flows.periods import Week
from flows.reviews import complete_weeks, read_weekly, render_weekly
from flows.settings import Settings
from flows.warehouse import open_published

VERDICTS = """
    create schema marts;
    create schema compat;
    create schema reviews;
    create table reviews.review_weekly_verdict as
    select
        cast(start_date as date) as period_start_date,
        cast(start_date as date) + 7 as period_end_date,
        cast(start_date as date) - 7 as previous_period_start_date,
        cast(start_date as date) < date '2026-11-23' as is_complete,
        timestamp '2026-11-25 02:00:00' as built_at_as_of,
        'UTC' as reporting_timezone,
        'Said.' as verdict_sentence,
        15 as metric_count,
        0 as signal_count,
        0 as bad_signal_count,
        15 as normal_count,
        0 as undecided_count,
        0 as low_credit_team_count,
        0 as unpriced_call_count,
        cast(0 as numeric(28, 2)) as client_cost_change_usd,
        12 as baseline_weeks,
        6 as minimum_weeks,
        cast(2.66 as numeric(4, 2)) as limit_factor,
        14 as low_credit_days
    from generate_series(date '2026-10-05', date '2026-11-23', interval 7 day) as weeks (start_date)
"""


def published(folder: Path, sql: str) -> Settings:
    settings = Settings(data_dir=folder)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(sql)
    return settings


def test_a_week_without_data_names_the_weeks_there_are(tmp_path: Path) -> None:
    settings = published(tmp_path, VERDICTS)
    expected = (
        "2025-W01 is not in the published data. Complete weeks are 2026-W47, 2026-W46, .* and 2 earlier"
    )
    with pytest.raises(AlmanacError, match=expected):
        render_weekly(settings, Week(2025, 1))
    assert not settings.reviews_dir.exists()


def test_a_week_under_way_has_no_review(tmp_path: Path) -> None:
    settings = published(tmp_path, VERDICTS)
    with open_published(settings.warehouse_path) as connection:
        assert complete_weeks(connection)[0] == Week(2026, 47)
        with pytest.raises(AlmanacError, match="2026-W48 is not over yet"):
            read_weekly(connection, Week(2026, 48))


def test_a_platform_without_a_whole_week_says_so(tmp_path: Path) -> None:
    settings = published(tmp_path, VERDICTS + "; delete from reviews.review_weekly_verdict where is_complete")
    with pytest.raises(AlmanacError, match="no week is complete"):
        render_weekly(settings, Week(2026, 48))


def test_a_warehouse_without_reviews_is_named(tmp_path: Path) -> None:
    settings = published(tmp_path, "create schema marts; create schema compat")
    with pytest.raises(AlmanacError, match="no usable schema `reviews`"):
        render_weekly(settings, Week(2026, 47))


def test_nothing_published_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(AlmanacError, match="almanac"):
        render_weekly(Settings(data_dir=tmp_path), Week(2026, 47))
