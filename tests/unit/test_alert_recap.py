"""What a review tells of the alerts of its period: by the moments of the data, and to whom it concerns."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from flows.alert_recap import Recap, RuleName
from flows.ops_store import OpsStore, alerting, open_ops_store
from flows.periods import parse_week
from flows.review_scopes import PLATFORM, Kind, Scope
from flows.settings import Settings

WEEK = parse_week("2026-W47")  # from Monday 16 to Sunday 22 November
MONDAY = dt.datetime(2026, 11, 16)
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
RULES = {
    "credit_low": RuleName("Credits run low", for_tenants=True),
    "margin_negative": RuleName("Sold below cost", for_tenants=False),
}


@pytest.fixture
def store(tmp_path: Path) -> OpsStore:
    return open_ops_store(Settings(data_dir=tmp_path))


def asked(store: OpsStore, *moments: dt.datetime) -> None:
    with store.transaction() as connection:
        for moment in moments:
            connection.execute(
                insert(alerting.evaluations).values(
                    cadence="night",
                    occasion="night",
                    as_of=moment,
                    # years later, as in a replay: nothing may depend on it
                    evaluated_at=moment + 1000 * DAY,
                    candidate_count=0,
                    breach_count=0,
                    unknown_count=0,
                )
            )


def incident(
    store: OpsStore,
    name: str,
    window_end: dt.datetime,
    resolved: dt.datetime | None = None,
    *,
    as_of: dt.datetime | None = None,
    **more: Any,
) -> None:
    opened = as_of or window_end
    row = {
        "incident_id": name,
        "rule": "credit_low",
        "rule_version": "1",
        "family": "usage",
        "scope_kind": "team",
        "scope_id": name,
        "scope_name": name,
        "organization_id": "acme",
        "severity": "warning",
        "opened_at": opened + 1000 * DAY,
        "opened_as_of": opened,
        "last_breach_at": opened + 1000 * DAY,
        "resolved_at": None if resolved is None else resolved + 1000 * DAY,
        "resolved_as_of": resolved,
        "resolution": None if resolved is None else "recovered",
        "evidence": json.dumps({"candidate": {"window_end": window_end.isoformat()}}),
    }
    with store.transaction() as connection:
        connection.execute(insert(alerting.incidents).values(row | more))


def recap(store: OpsStore) -> Recap:
    return Recap(store, Kind.WEEKLY, WEEK, "UTC", RULES)


def test_where_the_rules_were_not_asked_nothing_is_told(store: OpsStore) -> None:
    assert recap(store).of(PLATFORM) is None
    asked(store, MONDAY - DAY)
    assert recap(store).of(PLATFORM) is None
    asked(store, MONDAY + 2 * DAY)
    told = recap(store).of(PLATFORM)
    assert told is not None
    assert (told.asked_since, told.opened_count, told.previous_opened_count) == (None, 0, None)


def test_where_they_were_asked_from_within_it_it_says_since_when(store: OpsStore) -> None:
    asked(store, MONDAY + 3 * DAY)
    told = recap(store).of(PLATFORM)
    assert told is not None
    assert told.asked_since == MONDAY + 3 * DAY


def test_a_day_belongs_to_its_week_whichever_night_asks_of_it(store: OpsStore) -> None:
    asked(store, MONDAY - 20 * DAY, MONDAY + 7 * DAY)
    # the last Sunday, asked of on Monday; the Sunday before, too
    incident(store, "of-it", MONDAY + 7 * DAY, as_of=MONDAY + 7 * DAY + 2 * HOUR)
    incident(store, "before", MONDAY, as_of=MONDAY + 2 * HOUR)
    incident(store, "after", MONDAY + 7 * DAY + 2 * HOUR)
    told = recap(store).of(PLATFORM)
    assert told is not None
    assert (told.opened_count, told.previous_opened_count, told.open_count) == (1, 1, 2)
    assert [row.incident_id for row in told.incidents] == ["of-it", "before"]


def test_it_is_told_as_it_was_when_the_week_ended(store: OpsStore) -> None:
    asked(store, MONDAY - 20 * DAY, MONDAY + 6 * DAY)
    incident(store, "over", MONDAY + DAY, MONDAY + DAY + 3 * HOUR)
    incident(store, "later-over", MONDAY + 2 * DAY, MONDAY + 9 * DAY)
    incident(store, "from-before", MONDAY - 10 * DAY, MONDAY + HOUR)
    incident(store, "long-over", MONDAY - 12 * DAY, MONDAY - 11 * DAY)
    told = recap(store).of(PLATFORM)
    assert told is not None
    assert (told.opened_count, told.ended_count, told.open_count) == (2, 2, 1)
    assert told.median_seconds == Decimal(round((3 * 3600 + 10 * 86400 + 3600) / 2))
    assert {row.incident_id: row.ended_at for row in told.incidents} == {
        "over": MONDAY + DAY + 3 * HOUR,
        "later-over": None,
        "from-before": MONDAY + HOUR,
    }


def test_what_came_again_what_nobody_saw_and_what_was_none(store: OpsStore) -> None:
    asked(store, MONDAY - 20 * DAY, MONDAY + 8 * DAY)
    incident(store, "first", MONDAY - 2 * DAY, MONDAY - DAY, scope_id="a")
    incident(store, "again", MONDAY + DAY, MONDAY + 2 * DAY, scope_id="a", acknowledged_at=MONDAY + DAY)
    incident(
        store, "none", MONDAY + DAY, MONDAY + 2 * DAY, resolution="closed by ann: False alarm, a load test"
    )
    incident(store, "gone", MONDAY + DAY, MONDAY + 2 * DAY, resolution="closed by ann: no false alarm")
    told = recap(store).of(PLATFORM)
    assert told is not None
    assert (told.repeated_count, told.ended_alone_count, told.false_alarm_count) == (1, 2, 1)
    assert told.families == (("usage", 3),)


def test_what_was_acknowledged_later_was_not_when_the_week_ended(store: OpsStore) -> None:
    asked(store, MONDAY - 20 * DAY, MONDAY + 6 * DAY)
    incident(store, "in-time", MONDAY + DAY, acknowledged_at=MONDAY + 2 * DAY)
    incident(store, "too-late", MONDAY + DAY, acknowledged_at=MONDAY + 8 * DAY)
    told = recap(store).of(PLATFORM)
    assert told is not None
    assert {row.incident_id: row.is_acknowledged for row in told.incidents} == {
        "in-time": True,
        "too-late": False,
    }


def test_a_tenant_reads_of_its_own_alerts_and_of_no_others(store: OpsStore) -> None:
    asked(store, MONDAY - 20 * DAY, MONDAY + 8 * DAY)
    incident(store, "acme-docs", MONDAY + DAY)
    incident(store, "globex-hr", MONDAY + DAY, organization_id="globex")
    incident(store, "acme-margin", MONDAY + DAY, rule="margin_negative")
    incident(store, "unheard", MONDAY + DAY, rule="rule_of_tomorrow")
    incident(store, "acme", MONDAY + DAY, scope_kind="organization", scope_id="acme")
    incident(store, "a-model", MONDAY + DAY, scope_kind="model")

    def seen(scope: Scope) -> set[str]:
        told = recap(store).of(scope)
        assert told is not None
        return {row.incident_id for row in told.incidents}

    assert seen(PLATFORM) == {"acme-docs", "globex-hr", "acme-margin", "unheard", "acme", "a-model"}
    assert seen(Scope("organization", "acme")) == {"acme-docs", "acme"}
    assert seen(Scope("team", "acme-docs")) == {"acme-docs"}
    assert seen(Scope("team", "acme-margin")) == set()


def test_the_most_severe_are_listed_and_the_others_counted(store: OpsStore) -> None:
    asked(store, MONDAY - 20 * DAY, MONDAY + 8 * DAY)
    for number in range(12):
        incident(store, f"n{number:02}", MONDAY + DAY + number * HOUR)
    incident(store, "worst", MONDAY + HOUR, severity="critical")
    told = recap(store).of(PLATFORM)
    assert told is not None
    assert [row.incident_id for row in told.incidents] == ["worst", *(f"n{n:02}" for n in range(11, 4, -1))]
    assert told.omitted_count == 5
