"""The marts against the independent oracle: the recorded tape, and small adversarial platforms in five zones.

The compiled SQL runs in this process (`tests.warehouse`): hundreds of platforms take minutes, not hours.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.compare import differences, report
from tests.oracle.marts import build_marts
from tests.oracle.platforms import Platform, platforms
from tests.oracle.tape import find_tape, read_tape

# one test function per zone: xdist spreads them, and each draws its own examples; 5 x 64, and 40 with history
in_zone = settings(
    max_examples=64, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
with_history = settings(in_zone, max_examples=40)


@pytest.fixture(scope="session")
def warehouse() -> Any:
    from tests.warehouse import compiled_marts

    return compiled_marts()


def check(warehouse: Any, platform: Platform) -> None:
    expected = build_marts(
        platform.tables,
        as_of=platform.as_of,
        reporting_timezone=platform.reporting_timezone,
        team_versions=platform.tables.get("team_versions"),
    )
    connection = warehouse.build(
        platform.tables, as_of=platform.as_of, reporting_timezone=platform.reporting_timezone
    )
    lines = differences(connection, expected)
    assert not lines, f"{report(lines)}\non the platform\n{platform}"


@given(platform=platforms("UTC"))
@in_zone
def test_marts_agree_with_the_oracle_in_utc(warehouse: Any, platform: Platform) -> None:
    check(warehouse, platform)


@given(platform=platforms("Europe/Berlin"))
@in_zone
def test_marts_agree_with_the_oracle_in_berlin(warehouse: Any, platform: Platform) -> None:
    check(warehouse, platform)


@given(platform=platforms("America/New_York"))
@in_zone
def test_marts_agree_with_the_oracle_in_new_york(warehouse: Any, platform: Platform) -> None:
    check(warehouse, platform)


@given(platform=platforms("Australia/Lord_Howe"))
@in_zone
def test_marts_agree_with_the_oracle_on_lord_howe(warehouse: Any, platform: Platform) -> None:
    check(warehouse, platform)


@given(platform=platforms("America/Havana"))
@in_zone
def test_marts_agree_with_the_oracle_in_havana(warehouse: Any, platform: Platform) -> None:
    check(warehouse, platform)


@given(platform=platforms(with_history=True))
@with_history
def test_marts_agree_with_the_oracle_on_teams_with_history(warehouse: Any, platform: Platform) -> None:
    check(warehouse, platform)


@pytest.mark.parametrize(
    ("as_of", "zone"),
    [
        (datetime(2026, 11, 23), "UTC"),
        (datetime(2026, 10, 25, 23, 30), "Europe/Berlin"),  # half an hour into a local Monday
    ],
    ids=["whole-tape-utc", "open-week-berlin"],
)
def test_marts_agree_with_the_oracle_on_the_tape(warehouse: Any, as_of: datetime, zone: str) -> None:
    tables = read_tape(find_tape())
    expected = build_marts(tables, as_of=as_of, reporting_timezone=zone)
    connection = warehouse.build(tables, as_of=as_of, reporting_timezone=zone)
    lines = differences(connection, expected)
    assert not lines, report(lines)
