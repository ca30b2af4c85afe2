"""A landing that lost and garbled rows is recalculated piece by piece: any order gives the same night.

ALMANAC_BACKFILL_ORDERS makes more orders than the sample that CI runs.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from flows.land import DayRange, land
from flows.progress import SilentProgress
from flows.source_location import PostgresUrl
from tests.canonical import canonical_differences, hash_of
from tests.changing_platform import ChangingPlatform, at, day_of
from tests.incremental import GENERATIONS, Warehouses
from tests.platform_ddl import ORM, create_platform
from tests.postgres_server import PostgresServer

ORDERS = int(os.environ.get("ALMANAC_BACKFILL_ORDERS", "4"))

DAYS = 60
AS_OF = at(DAYS, 2)
FIRST_JOB_NUMBER = 1000

# As a landing on a failing disk might leave them; the days' fingerprints do not show it.
DAMAGE = """
delete from raw.llm_calls where hash(call_id) % 3 = 0;
delete from raw.jobs where hash(job_id) % 7 = 0;
delete from raw.credit_transactions where hash(transaction_id) % 5 = 0;
update raw.llm_calls set cost_usd = 77 where hash(call_id) % 4 = 0;
update raw.jobs set status = 'failed' where hash(job_id) % 5 = 0;
update raw.job_cost_summaries set total_calls = 9 where hash(job_id) % 6 = 0;
"""


@pytest.fixture(scope="module")
def source(postgres_server: PostgresServer) -> Iterator[PostgresUrl]:
    """A platform of sixty days, whose jobs go on over midnight and are paid for days later."""
    platform, dice = ChangingPlatform(), random.Random(1)
    platform.organization("org-a")
    platform.organization("org-b")
    platform.alias("chat-fast")
    platform.team("team-a")
    platform.team("team-b", organization_id=None)
    for number in range(FIRST_JOB_NUMBER, FIRST_JOB_NUMBER + 3 * DAYS):
        started = at(dice.uniform(0, DAYS), 0)
        team = dice.choice(("team-a", "team-b"))
        platform.job(number, started, team_id=team, status=dice.choice(("COMPLETED", "FAILED")))
        for call in range(2):
            platform.call(2 * number + call, number, started + timedelta(hours=dice.choice((0, 1, 26))))
        organization = dice.choice((None, "org-a", "org-b"))
        paid = started + timedelta(hours=dice.choice((1, 50)))
        platform.charge(number, number, paid, team_id=team, organization_id=organization)
        platform.summary(number, started + timedelta(hours=27))
    url = postgres_server.create_database("backfilled")
    create_platform(url, ORM)
    platform.write_database(url)
    yield PostgresUrl(url)
    postgres_server.drop_database("backfilled")


def take_over(source: PostgresUrl, landing: Path, days: DayRange | None = None) -> None:
    land(source, landing, as_of=AS_OF, progress=SilentProgress(), lookback_days=1, recalculate=days)


def calls(landing: Path) -> int:
    with duckdb.connect(str(landing), read_only=True) as connection:
        row = connection.execute("select count(*) from raw.llm_calls").fetchone()
    assert row is not None
    return int(row[0])


def pieces_in_some_order(dice: random.Random) -> list[DayRange]:
    """The days in two to six pieces, in any order; some of them twice, and overlapping."""
    cuts = sorted(dice.sample(range(1, DAYS + 2), dice.randint(1, 5)))
    pieces = [DayRange(day_of(first), day_of(end)) for first, end in pairwise((0, *cuts, DAYS + 3))]
    for first in dice.sample(range(DAYS), dice.randrange(3)):
        pieces.append(DayRange(day_of(first), day_of(first + dice.randint(1, 20))))
    dice.shuffle(pieces)
    return pieces


def recalculated(source: PostgresUrl, landing: Path, dice: random.Random) -> dict[str, list[str]]:
    """All pieces taken over, with builds between them, some of which die; the rows of the last one."""
    warehouses = Warehouses(landing, reporting_timezone="UTC")
    try:
        warehouses.build(GENERATIONS[0], AS_OF)
        warehouses.publish(GENERATIONS[0])
        turn = 0
        for piece in pieces_in_some_order(dice):
            take_over(source, landing, piece)
            if dice.random() < 0.3:
                warehouses.build(GENERATIONS[1 - turn], AS_OF, stop_after=dice.randrange(110))
            if dice.random() < 0.4:
                turn = 1 - turn
                warehouses.build(GENERATIONS[turn], AS_OF)
                warehouses.publish(GENERATIONS[turn])
        warehouses.build(GENERATIONS[turn], AS_OF)
        return warehouses.rows(GENERATIONS[turn])
    finally:
        warehouses.close()


def test_any_order_of_recalculations_gives_one_night(source: PostgresUrl, tmp_path: Path) -> None:
    undamaged = tmp_path / "undamaged" / "landing.duckdb"
    undamaged.parent.mkdir()
    take_over(source, undamaged)
    whole = Warehouses(undamaged, reporting_timezone="UTC")
    whole.build(GENERATIONS[0], AS_OF)
    expected = whole.rows(GENERATIONS[0])
    whole.close()
    # what was restated on the way depends on the way
    del expected["marts.restatements"]

    for number in range(ORDERS):
        landing = tmp_path / f"order-{number}" / "landing.duckdb"
        landing.parent.mkdir()
        shutil.copy(undamaged, landing)
        with duckdb.connect(str(landing)) as connection:
            connection.execute(DAMAGE)
        take_over(source, landing)
        assert calls(landing) < calls(undamaged), "the damage is seen without being asked for"
        found = recalculated(source, landing, random.Random(number))
        del found["marts.restatements"]
        assert canonical_differences(expected, found) == [], f"order {number}"
        assert hash_of(found) == hash_of(expected)
