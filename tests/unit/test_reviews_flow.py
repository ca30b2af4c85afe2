"""Which reviews there are, what the error says when there is none, and where their files lie."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.errors import AlmanacError, UsageError
from flows.periods import Month, Week
from flows.review_reader import complete_periods, scopes_of
from flows.review_scopes import PLATFORM, Kind, Scope, parse_scope
from flows.reviews import paths, render
from flows.settings import Settings
from flows.warehouse import open_published

VERDICTS = """
    create schema marts; create schema compat; create schema reviews;
    create table reviews.review_verdicts as
    select
        'weekly' as review_kind, scope_kind, scope_id,
        cast(start_date as date) as period_start_date,
        cast(start_date as date) < date '2026-11-23' as is_complete
    from generate_series(date '2026-10-05', date '2026-11-23', interval 7 day) as weeks (start_date)
    cross join (values ('platform', 'platform'), ('team', 'b'), ('organization', 'z'), ('team', 'a'))
        as scopes (scope_kind, scope_id)
"""


def published(folder: Path, sql: str) -> Settings:
    settings = Settings(data_dir=folder)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(sql)
    return settings


def test_complete_weeks_and_whose_reviews_there_are(tmp_path: Path) -> None:
    settings = published(tmp_path, VERDICTS)
    with open_published(settings.warehouse_path) as connection:
        weeks = complete_periods(connection, Kind.WEEKLY)
        assert (weeks[0], len(weeks)) == (Week(2026, 47), 7)
        assert complete_periods(connection, Kind.MONTHLY) == []
        scopes = [str(scope) for scope in scopes_of(connection, Kind.WEEKLY, Week(2026, 47))]
    assert scopes == ["platform", "organization:z", "team:a", "team:b"]


def test_a_warehouse_without_reviews_is_named(tmp_path: Path) -> None:
    settings = published(tmp_path, "create schema marts; create schema compat")
    with pytest.raises(AlmanacError, match="no usable schema `reviews`"):
        render(settings, Kind.WEEKLY, Week(2026, 47), [PLATFORM])


def test_nothing_published_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(AlmanacError, match="almanac"):
        render(Settings(data_dir=tmp_path), Kind.WEEKLY, Week(2026, 47), [PLATFORM])


def test_scopes_are_written_in_one_way() -> None:
    assert parse_scope("platform") == PLATFORM
    assert parse_scope("team:a:b") == Scope("team", "a:b")
    assert str(parse_scope("organization:org_acme")) == "organization:org_acme"
    for wrong in ("", "team", "team:", "crew:a", "Platform", "team:a\nb", "team:" + "x" * 501):
        with pytest.raises(UsageError, match="no scope"):
            parse_scope(wrong)


@given(st.text(min_size=1, max_size=100), st.text(min_size=1, max_size=100))
def test_file_names_stay_in_their_folder_and_do_not_meet(first: str, second: str) -> None:
    settings = Settings(data_dir=Path("/data"))
    folder = settings.reviews_dir / "monthly" / "2026-10"
    names = set()
    for scope in (Scope("team", first), Scope("team", second)):
        where = paths(settings, Kind.MONTHLY, Month(2026, 10), scope)
        assert where.pdf_path.parent == folder
        assert where.html_path.name.isascii()
        assert len(where.html_path.name) < 120
        names.add(where.html_path.name)
    assert len(names) == len({first, second})
