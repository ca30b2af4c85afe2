"""Senders killed at random moments lose no message, and repeat one only where nobody could know."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from flows.ops_store import OpsStore, deliveries, open_ops_store
from flows.outbox import DUPLICATE_MARK
from flows.settings import Settings
from tests.pipeline.test_outbox import T0, message, put
from tests.sender_process import start_sender
from tests.smtp_servers import Inbox, smtp_server

ROOT = Path(__file__).resolve().parents[2]
# The campaign: ALMANAC_TEST_SENDER_KILLS=200 ALMANAC_TEST_SENDER_MESSAGES=2000 (some minutes).
KILLS = int(os.environ.get("ALMANAC_TEST_SENDER_KILLS", "30"))
MESSAGES = int(os.environ.get("ALMANAC_TEST_SENDER_MESSAGES", "300"))
SEED = int(os.environ.get("ALMANAC_TEST_SENDER_SEED", "20261123"))
AT_ONCE = 2  # senders
SECONDS = 900  # of all kills together
END_SECONDS = 300  # of a sender that is left alone
_databases = itertools.count(1)

ONE_SENDER = "import sys; from tests.sender_process import send_all; send_all(sys.argv[1], int(sys.argv[2]))"


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Of an ops store of its own, as JSON can say them."""
    if request.param == "sqlite":
        yield {"data_dir": str(tmp_path), "target": "duckdb"}
        return
    server = request.getfixturevalue("postgres_server")
    name = f"senders_{next(_databases)}"
    url = server.create_database(name)
    yield {"data_dir": str(tmp_path), "target": "postgres", "warehouse_url": url}
    server.drop_database(name)


def free_what_the_dead_hold(store: OpsStore) -> set[str]:
    """As if their leases had run out; returns whose messages were handed over and not confirmed."""
    outbox = deliveries.outbox
    with store.transaction() as connection:
        in_doubt = set(connection.scalars(select(outbox.c.recipient).where(outbox.c.state == "sending")))
        connection.execute(
            update(outbox)
            .where(outbox.c.lease_until.is_not(None))
            .values(lease_until=store.now(connection) - timedelta(seconds=1))
        )
    return in_doubt


def kill_after(process: ForkServerProcess, inbox: Inbox, arrivals: int, seconds: float) -> bool:
    """Kill a sender that much time after that many messages; whether it still lived."""
    until, give_up_at = len(inbox.arrived) + arrivals, time.monotonic() + 30
    while len(inbox.arrived) < until and process.is_alive() and time.monotonic() < give_up_at:
        time.sleep(0.001)
    time.sleep(seconds)
    process.kill()
    process.join(30)
    return process.exitcode == -signal.SIGKILL


def test_killed_senders_lose_nothing_and_double_only_what_is_in_doubt(settings: dict[str, Any]) -> None:
    chance = random.Random(SEED)
    store = open_ops_store(Settings(**settings))
    put(store, *(message(f"u{number}@example.com") for number in range(MESSAGES)), at=T0)
    inbox = Inbox()
    give_up_at = time.monotonic() + SECONDS
    killed, in_doubt = 0, Counter[str]()
    with smtp_server(inbox) as port:
        while killed < KILLS and time.monotonic() < give_up_at:
            senders = [start_sender(settings, port) for _ in range(AT_ONCE)]
            for process in senders:
                # a pair sends as many as a pair of kills may: the last kills find senders at work too
                arrivals = chance.randint(
                    0, max(1, 2 * (MESSAGES - len(inbox.arrived)) // (KILLS - killed + 1))
                )
                # right after an arrival, where the doubt is, or at any moment of a few messages
                seconds = chance.choice([0, chance.uniform(0, 0.05)])
                killed += kill_after(process, inbox, arrivals, seconds)
            in_doubt.update(free_what_the_dead_hold(store))
            if len({arrived.recipients for arrived in inbox.arrived}) == MESSAGES:
                break
        for _ in range(2):
            process = start_sender(settings, port)
            process.join(END_SECONDS)
            assert process.exitcode == 0
    with store.transaction() as connection:
        states = {row.recipient: row.state for row in connection.execute(select(deliveries.outbox))}
    arrived = Counter(one.recipients[0] for one in inbox.arrived)
    doubled = {recipient for recipient, count in arrived.items() if count > 1}
    unknown = {recipient for recipient, state in states.items() if state == "unknown"}
    print(
        f"seed {SEED}: {killed} kills over {MESSAGES} messages, {in_doubt.total()} times in doubt, "
        f"{len(doubled)} arrived twice, {len(unknown)} unknown"
    )
    assert killed >= min(KILLS, 5)
    assert states.keys() - arrived.keys() <= unknown, "a message was lost, and nobody knows"
    assert set(states.values()) <= {"sent", "unknown"}
    assert {recipient for recipient in unknown if in_doubt[recipient] < 2} == set(), "was not sent again"
    assert max(arrived.values()) <= 2
    assert doubled <= in_doubt.keys(), "a message was doubled although its sender had noted its answer"
    copies = [one for one in inbox.arrived if one.recipients[0] in doubled]
    assert len({one.parsed["Message-ID"] for one in copies}) == len(doubled), "one message, one Message-ID"
    marked = [one.recipients[0] for one in inbox.arrived if DUPLICATE_MARK in one.content]
    assert doubled <= set(marked) <= in_doubt.keys(), "whoever may get a second copy is told so"


@pytest.mark.parametrize("point", ["outbox.claimed", "outbox.handed_over", "outbox.taken", "outbox.marked"])
def test_a_sender_killed_at_each_point(settings: dict[str, Any], point: str) -> None:
    store = open_ops_store(Settings(**settings))
    put(store, message("ann@example.com"), at=T0)
    inbox = Inbox()
    with smtp_server(inbox) as port:
        process = subprocess.run(
            [sys.executable, "-c", ONE_SENDER, json.dumps(settings), str(port)],
            cwd=ROOT,
            env={**os.environ, "ALMANAC_FAILPOINT": f"{point}:1"},
            timeout=60,
            check=False,
        )
        assert process.returncode == -signal.SIGKILL
        free_what_the_dead_hold(store)
        for _ in range(2):
            following = start_sender(settings, port)
            following.join(60)
            assert following.exitcode == 0
    # only the one that had been taken, and not yet noted, comes twice
    assert len(inbox.arrived) == (2 if point == "outbox.taken" else 1)
    marked = [DUPLICATE_MARK in one.content for one in inbox.arrived]
    assert marked == {"outbox.taken": [False, True], "outbox.handed_over": [True]}.get(point, [False])


def test_a_sender_that_stood_still_past_its_lease_hands_nothing_over(settings: dict[str, Any]) -> None:
    store = open_ops_store(Settings(**settings))
    put(store, message("ann@example.com"), at=T0)
    inbox = Inbox()
    with smtp_server(inbox) as port:
        stopped = subprocess.Popen(
            [sys.executable, "-c", ONE_SENDER, json.dumps(settings), str(port)],
            cwd=ROOT,
            env={**os.environ, "ALMANAC_FAILPOINT": "outbox.claimed:1=stop"},
        )
        try:
            _, status = os.waitpid(stopped.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            free_what_the_dead_hold(store)
            other = start_sender(settings, port)
            other.join(60)
            stopped.send_signal(signal.SIGCONT)
            assert stopped.wait(60) == 0
        finally:
            with suppress(ProcessLookupError):
                stopped.kill()
            stopped.wait(30)
    assert len(inbox.arrived) == 1
