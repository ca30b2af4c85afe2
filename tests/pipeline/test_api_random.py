"""Answers beside single rows, on random platforms at the edges: what is not known is null in every part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings

from flows.settings import Settings
from tests import api_oracle
from tests.api_oracle import Facts, Span
from tests.api_platform import publish_platform
from tests.api_service import MANY_REQUESTS, Service, make_keys, path_of, scopes_of, with_query
from tests.oracle.platforms import Platform, platforms

RANDOM_PLATFORMS = int(os.environ.get("ALMANAC_TEST_PLATFORMS", "3"))


@seed(2)
@given(platform=platforms("UTC", with_history=True))
@hypothesis_settings(
    max_examples=RANDOM_PLATFORMS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
def test_every_answer_is_what_single_rows_come_to(platform: Platform) -> None:
    with TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder), source=None, target="duckdb", api_requests_per_minute=MANY_REQUESTS
        )
        publish_platform(platform, settings)
        problems = list(differences(settings, platform))
    assert not problems, "\n".join([*map(str, problems[:20]), f"on the platform\n{platform}"])


def differences(settings: Settings, platform: Platform) -> Iterator[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{settings.warehouse_path}' as warehouse (read_only)")
        connection.execute("use warehouse.marts")
        scopes = scopes_of(connection)
        facts = Facts(connection, platform.as_of)
    if not facts.published.days:
        return
    last = facts.published.end - timedelta(days=1)
    days = [*facts.published.days[-30::9], last]
    labels = {day.isoformat() for day in days} | {f"{day:%Y-%m}" for day in days}
    labels |= {f"{day:%G-W%V}" for day in days}
    with Service(settings, make_keys(settings, scopes)) as service:
        for scope in scopes:
            for span in map(Span.of, sorted(labels)):
                for path, expected in answers(facts, scope, span):
                    answer = service.exact(with_query(path, period=span.label), scope)
                    for row in answer["teams"] if isinstance(answer.get("teams"), list) else ():
                        del row["organization_id"]
                    for name, value in expected.items():
                        if answer[name] != value:
                            yield scope, span.label, path, name, answer[name], value


def answers(facts: Facts, scope: Any, span: Span) -> Iterator[tuple[str, api_oracle.Row]]:
    if scope.kind == "team":
        yield path_of(scope, "usage"), api_oracle.team_usage(facts, scope.id, span)
    if scope.kind == "organization":
        yield path_of(scope, "usage"), api_oracle.organization_usage(facts, scope.id, span)
    yield "/api/analytics/usage", api_oracle.usage_analytics(facts, scope, span)
    yield "/api/analytics/performance", api_oracle.performance_analytics(facts, scope, span)
