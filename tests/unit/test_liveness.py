"""Whether the monitor is alive: by its last check and by its last probe of every component."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml
from sqlalchemy import insert

from flows.health import Round
from flows.liveness import read_liveness
from flows.ops_store import alerting, open_ops_store
from flows.probe_config import Probes
from flows.probe_records import FRESH_INTERVALS, record
from flows.probe_results import Overall, ProbeResult, ProbeVerdict
from flows.settings import Settings

NOW = dt.datetime(2026, 11, 23, 12, 0)
UP, DEGRADED, DOWN, UNKNOWN = ProbeVerdict
TWO = Probes.model_validate(
    {"components": [{"name": "api", "url": "http://api/"}, {"name": "proxy", "url": "http://proxy/"}]}
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def probed(settings: Settings, minutes_ago: float, **verdicts: ProbeVerdict) -> None:
    results = tuple(ProbeResult(name, True, verdict, 1.0) for name, verdict in verdicts.items())
    record(settings, Round(NOW - dt.timedelta(minutes=minutes_ago), 300, results))


def evaluated(settings: Settings, occasion: str, *hours_ago: float) -> None:
    with open_ops_store(settings).transaction() as connection:
        for hours in hours_ago:
            at = NOW - dt.timedelta(hours=hours)
            connection.execute(
                insert(alerting.evaluations).values(
                    cadence="check",
                    occasion=occasion,
                    as_of=at,
                    evaluated_at=at,
                    candidate_count=0,
                    breach_count=0,
                    unknown_count=0,
                )
            )


def test_where_nothing_is_in_use_nothing_is_missed_and_nothing_is_made(settings: Settings) -> None:
    liveness = read_liveness(settings, None, now=NOW)
    assert (liveness.problems, liveness.health, liveness.newest_check_at) == ((), None, None)
    assert not settings.ops_path.exists()


def test_a_component_that_was_never_probed_is_a_problem_and_health_is_unknown(settings: Settings) -> None:
    probed(settings, 1, api=UP)
    liveness = read_liveness(settings, TWO, now=NOW)
    assert liveness.problems == ("no fresh probe of proxy; look at what runs `almanac probe`",)
    assert liveness.health is Overall.unknown


@pytest.mark.parametrize(("minutes", "is_well"), [(15, True), (15.1, False)])
def test_a_probe_is_fresh_for_three_intervals(settings: Settings, minutes: float, is_well: bool) -> None:
    probed(settings, minutes, api=UP, proxy=UP)
    liveness = read_liveness(settings, TWO, now=NOW)
    assert (liveness.problems == ()) is is_well
    assert liveness.health is (Overall.healthy if is_well else Overall.unknown)


def test_the_rules_and_the_status_call_the_same_probe_old() -> None:
    project = yaml.safe_load((Path(__file__).resolve().parents[2] / "dbt_project.yml").read_text())
    assert project["vars"]["alert_probe_stale_intervals"] == FRESH_INTERVALS


def test_a_component_that_is_down_is_no_problem_of_the_monitor(settings: Settings) -> None:
    probed(settings, 5, api=UP, proxy=UP, gone=DOWN)
    probed(settings, 1, api=UP, proxy=DOWN)
    liveness = read_liveness(settings, TWO, now=NOW)
    assert (liveness.problems, liveness.health, liveness.not_up) == ((), Overall.degraded, ("proxy down",))


@pytest.mark.parametrize(("hours", "is_well"), [(2, True), (2.01, False)])
def test_checks_that_were_a_habit_and_stopped_are_a_problem(
    settings: Settings, hours: float, is_well: bool
) -> None:
    evaluated(settings, "night", 30)
    evaluated(settings, "check", hours, hours + 1, hours + 2, hours + 3)
    assert (read_liveness(settings, None, now=NOW).problems == ()) is is_well


def test_nights_probes_and_checks_by_hand_are_no_habit(settings: Settings) -> None:
    evaluated(settings, "night", 27, 28, 29, 30)
    evaluated(settings, "probe", 3, 4, 5, 6)
    evaluated(settings, "check", 3, 4, 5, 30)
    assert read_liveness(settings, None, now=NOW).problems == ()


def test_what_a_wrong_clock_wrote_hides_nothing(settings: Settings) -> None:
    probed(settings, 30, api=UP, proxy=UP)
    probed(settings, -500_000, api=UP, proxy=UP)
    evaluated(settings, "check", 3, 4, 5, 6, -8000)
    liveness = read_liveness(settings, TWO, now=NOW)
    assert len(liveness.problems) == 2
    assert liveness.health is Overall.unknown
