"""The peers of the benchmark: they give the same numbers, and what they take is bounded."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from benchmarks import recorded
from benchmarks.fit import exponent, fitted
from benchmarks.load_postgres import apply_day, load
from benchmarks.new_day import CHANGED_DAYS, add_day
from benchmarks.nights import EMPTY, FIRST, LATE, MODEL_SQL, NEXT_DAY, ONE_DAY, REFRESH, SECOND
from benchmarks.outputs import KEYS, differences, measures, tables
from benchmarks.peers.__main__ import run
from benchmarks.peers.duckdb_answers import FILE as DUCKDB_FILE
from benchmarks.peers.order import Order, parsed, parser
from benchmarks.peers.roster import BUILD, LATENCY, NIGHT, PEERS, REVIEW, SUMMARY, peer
from benchmarks.platform import Plan, Platform, write_platform
from benchmarks.report import report
from benchmarks.side_by_side import Outcome, Result, Size, farthest
from benchmarks.watch import Exceeded, Watched, watch_command
from tests.postgres_server import PostgresServer

PLAN = Plan(calls=2_000, days=25, last_day=date(2026, 11, 21), seed=3, teams=4, organizations=2)
TEAM = "org_01-team_1"


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Platform, Platform]:
    before = write_platform(PLAN, tmp_path_factory.mktemp("peers") / "before")
    return before, add_day(before, before.folder.with_name("after"), calls=200, changes=40)


@pytest.fixture(scope="module")
def url(days: tuple[Platform, Platform], postgres_server: PostgresServer) -> str:
    made = postgres_server.create_database("benchmark_peers")
    load(made, days[0].folder)
    return made


def order(days: tuple[Platform, Platform], out: Path, *, url: str = "", day: int = 0) -> Order:
    return Order(
        source=days[day].folder,
        out=out,
        url=url,
        known_until=days[day].known_until,
        since=(days[0].known_until - timedelta(days=CHANGED_DAYS)).date(),
        team=TEAM,
        month=date(2026, 11, 1),
        week=date(2026, 11, 9),
        bound=600.0,
        memory_limit="1GiB",
    )


@pytest.fixture(scope="module")
def by_hand(days: tuple[Platform, Platform], tmp_path_factory: pytest.TempPathFactory) -> tuple[Order, ...]:
    """The reference of each day, each built from nothing."""
    orders = tuple(order(days, tmp_path_factory.mktemp("hand") / str(day), day=day) for day in (0, 1))
    for one in orders:
        run(peer("by_hand"), BUILD, one)
    return orders


def too_far(reference: Order, name: str, out: Path) -> list[str]:
    chosen = peer(name)
    assert chosen.where is not None
    found = differences(reference.out / DUCKDB_FILE, out / chosen.where, chosen.only)
    assert {one.table for one in found} == (chosen.only or {table for table, _, _ in tables()})
    assert all(one.rows > 0 for one in found)
    return [str(one) for one in found if not one.is_within]


@pytest.mark.parametrize("name", ["naive_dbt", "polars", "pandas"])
def test_a_peer_gives_the_numbers_by_hand(
    days: tuple[Platform, Platform], by_hand: tuple[Order, ...], tmp_path: Path, name: str
) -> None:
    mine = order(days, tmp_path / name)
    run(peer(name), BUILD, mine)
    assert too_far(by_hand[0], name, mine.out) == []
    for action in (SUMMARY, LATENCY, REVIEW):
        expected = run(peer("by_hand"), action, by_hand[0])["rows"]
        assert expected
        assert farthest(expected, run(peer(name), action, mine)["rows"]) < 1e-9


def test_a_new_day_by_hand_is_the_whole_history_by_hand(
    days: tuple[Platform, Platform], by_hand: tuple[Order, ...], tmp_path: Path
) -> None:
    run(peer("by_hand"), BUILD, order(days, tmp_path / "kept"))
    assert too_far(by_hand[1], "by_hand", tmp_path / "kept") != []
    run(peer("by_hand"), NIGHT, order(days, tmp_path / "kept", day=1))
    assert too_far(by_hand[1], "by_hand", tmp_path / "kept") == []


@pytest.mark.parametrize(("call_count", "is_within"), [(2_000, True), (1_000, False)])
def test_a_client_cost_may_differ_by_what_rounding_each_call_adds(
    tmp_path: Path, call_count: int, is_within: bool
) -> None:
    keys = {"period_start_date": "date '2026-11-02'", **dict.fromkeys(KEYS["model_usage"], "'one'")}
    for side, client_cost_usd in (("ours", "1.00001"), ("theirs", "1")):
        told = dict.fromkeys(measures("model_usage"), "0")
        told |= {"call_count": str(call_count), "client_cost_usd": client_cost_usd}
        columns = ", ".join(f"{value} as {name}" for name, value in (keys | told).items())
        (tmp_path / side).mkdir()
        table = tmp_path / side / "model_usage_daily.parquet"
        duckdb.execute(f"copy (select {columns}) to '{table}' (format parquet)")
    found = differences(tmp_path / "ours", tmp_path / "theirs", frozenset({"model_usage_daily"}))
    assert {one.measure for one in found if one.greatest} == {"client_cost_usd"}
    assert all(one.is_within for one in found) == is_within


def test_the_peers_on_postgresql_give_the_numbers_by_hand(
    days: tuple[Platform, Platform], by_hand: tuple[Order, ...], url: str, tmp_path: Path
) -> None:
    run(peer("team_loop"), BUILD, order(days, tmp_path, url=url))
    assert too_far(by_hand[0], "team_loop", tmp_path) == []
    apply_day(url, days[1].folder)
    after = order(days, tmp_path, url=url, day=1)
    run(peer("page"), NIGHT, after)
    run(peer("team_loop"), NIGHT, after)
    assert too_far(by_hand[1], "team_loop", tmp_path) == []
    for name in ("page", "team_loop"):
        for action in peer(name).actions & {SUMMARY, LATENCY, REVIEW}:
            expected = run(peer("by_hand"), action, by_hand[1])["rows"]
            assert farthest(expected, run(peer(name), action, after)["rows"]) < 1e-9, (name, action)


def test_a_loop_that_is_bounded_tells_what_all_would_take(
    days: tuple[Platform, Platform], by_hand: tuple[Order, ...], url: str, tmp_path: Path
) -> None:
    told = run(peer("team_loop"), BUILD, replace(order(days, tmp_path, url=url), bound=0.0))
    assert told["note"].startswith("extrapolated from 1 of 25 days, 1 of ")
    assert told["extrapolated"] > told["seconds"] / 2


def test_an_order_is_read_as_it_was_written(days: tuple[Platform, Platform], tmp_path: Path) -> None:
    mine = order(days, tmp_path, url="postgresql:///x")
    assert parsed(parser().parse_args(mine.arguments())) == mine


def test_peers_have_the_functions_that_they_are_asked_for() -> None:
    for one in PEERS:
        assert all(callable(one.function(action)) for action in one.actions)


def test_a_line_through_points_of_a_line_is_that_line() -> None:
    line = fitted([1, 20, 100], [10.5, 20.0, 60.0])
    assert (line.intercept, line.slope) == pytest.approx((10.0, 0.5))
    assert line.growth(1, 100) == pytest.approx((60 - 10.5) / 10.5)
    assert fitted([1, 1, 3], [2, 4, 5]).at(1) == pytest.approx(3)
    with pytest.raises(ValueError, match="two different"):
        fitted([5, 5], [1, 2])


def test_an_exponent_is_the_power_of_the_history() -> None:
    assert exponent([1, 10, 100], [3.0, 30.0, 300.0]) == pytest.approx(1)
    assert exponent([1, 4, 100], [5.0, 10.0, 50.0]) == pytest.approx(0.5)
    assert exponent([1, 100], [7.0, 7.0]) == pytest.approx(0)


def test_sizes_are_read() -> None:
    assert Size.parsed("0.2") == Size(200_000, 2, "folder")
    assert Size.parsed("20:postgresql") == Size(20_000_000, 167, "postgresql")
    assert Size.parsed("20/17") == Size(20_000_000, 17, "folder")
    assert [Size.parsed(text).is_busier for text in ("20", "20/17")] == [False, True]
    with pytest.raises(ValueError, match="no source"):
        Size.parsed("1:csv")


@pytest.mark.parametrize(
    ("code", "most_seconds", "most_bytes", "said"),
    [
        ("import time; time.sleep(60)", 0.5, 1e12, "over"),
        ("held = b'x' * 400_000_000; import time; time.sleep(60)", 60.0, 2e8, "out of memory"),
    ],
)
def test_a_command_that_takes_too_much_is_ended(
    tmp_path: Path, code: str, most_seconds: float, most_bytes: float, said: str
) -> None:
    command = [sys.executable, "-c", code]
    with pytest.raises(Exceeded, match=said):
        watch_command(command, story=tmp_path / "story", most_seconds=most_seconds, most_bytes=most_bytes)


def test_the_report_says_ratios_limits_and_growth() -> None:
    text = report([_result(1, 10.0), _result(100, 10.9)])
    lines = text.splitlines()
    assert "| **ours** | 10.0 s | 10.9 s |" in lines
    assert "| a pandas script | 50.0 s (5×) | out of memory (16 GiB) |" in lines
    assert "| a loop over teams on PostgreSQL | 90.0 s (4.5×), extrapolated from 1 of 2 months | — |" in lines
    assert any(
        "from 1 M to 100 M it grows by 9.0% (10.0 to 10.9 s), like the history to the power of 0.02" in line
        for line in lines
    )
    assert f"| **{LATE}**, s | 11.0 | — |" in lines
    assert not any(line.startswith(f"- {LATE}, source") for line in lines), "one size alone has no line"
    assert any(
        line.startswith("| a pandas script | no history") and "1 measures differ" in line for line in lines
    )
    assert "| full refresh, whole night / all models' SQL by hand | 2.00 | — |" in lines
    assert "| all models' SQL by hand | 8.0 s (0.4×) | not run at this size |" in lines


def _result(millions: int, night: float) -> Result:
    def watched(seconds: float) -> Watched:
        return Watched(seconds, seconds, {"start": 1, "build": 2}, {"start": 1.0, "build": seconds - 1})

    nights = {
        FIRST: 20.0,
        SECOND: 9.0,
        ONE_DAY: night,
        NEXT_DAY: night,
        EMPTY: 9.0,
        REFRESH: 16.0,
    }
    answers = {action: Outcome(0.05, rows=[]) for action in (SUMMARY, LATENCY, REVIEW)}
    is_small = millions == 1
    if is_small:
        nights |= {MODEL_SQL: 8.0, LATE: 11.0}
    pandas = Outcome(50.0, 60.0, 10, greatest=1.0, wrong=["team_usage_daily.call_count: 1"])
    return Result(
        Size.parsed(str(millions)),
        generated=Outcome(1.0, 2.0, 3),
        nights={name: watched(seconds) for name, seconds in nights.items()},
        peers={
            "ours": answers,
            "pandas": {NIGHT: pandas if is_small else Outcome(note="out of memory (16 GiB)")},
            **(
                {"team_loop": {BUILD: Outcome(90.0, note="extrapolated from 1 of 2 months")}}
                if is_small
                else {}
            ),
        },
    )


def test_figures_are_read_as_they_were_written_and_kept_of_other_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "FOLDER", tmp_path)
    assert recorded.newest() == []
    small, large = _result(1, 10.0), _result(100, 10.9)
    path = recorded.write([small, large], "report")
    assert path.read_text(encoding="utf-8") == "report\n"
    assert recorded.newest() == [small, large]
    again = _result(100, 9.5)
    assert recorded.merged(recorded.newest(), [again, _result(20, 9.1)]) == [small, _result(20, 9.1), again]
