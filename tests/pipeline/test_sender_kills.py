"""Senders killed at random moments lose no message, and repeat one only where nobody could know."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from flows.ops_store import OpsStore, deliveries, open_ops_store
from flows.outbox import DUPLICATE_MARK
from flows.settings import Settings
from tests.pipeline.test_outbox import T0, message, put
from tests.smtp_servers import Inbox, smtp_server

ROOT = Path(__file__).resolve().parents[2]
# The campaign: ALMANAC_TEST_SENDER_KILLS=200 ALMANAC_TEST_SENDER_MESSAGES=2000 (some minutes).
KILLS = int(os.environ.get("ALMANAC_TEST_SENDER_KILLS", "25"))
MESSAGES = int(os.environ.get("ALMANAC_TEST_SENDER_MESSAGES", "250"))
SEED = int(os.environ.get("ALMANAC_TEST_SENDER_SEED", "20261123"))
SECONDS = 900

SENDER = """
import sys
from datetime import timedelta
from pathlib import Path
from flows.mail_channel import MailChannel, SmtpServer
from flows.ops_store import open_ops_store
from flows.outbox import deliver
from flows.settings import Settings
store = open_ops_store(Settings(data_dir=Path(sys.argv[1])))
server = SmtpServer("smtp+plain", "127.0.0.1", int(sys.argv[2]))
channel = MailChannel(server, envelope_sender="b@example.com")
print("ready", flush=True)
deliver(store, {"mail": channel}, grace=timedelta(0))
"""


def sender(folder: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER, str(folder), str(port)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def free_what_the_dead_hold(store: OpsStore) -> int:
    """As if their leases had run out; returns how many were handed over and not confirmed."""
    outbox = deliveries.outbox
    with store.transaction() as connection:
        in_doubt = connection.scalar(
            select(func.count()).where(outbox.c.state == "sending", outbox.c.lease_until.is_not(None))
        )
        connection.execute(
            update(outbox)
            .where(outbox.c.lease_until.is_not(None))
            .values(lease_until=store.now(connection) - timedelta(seconds=1))
        )
    return int(in_doubt or 0)


def test_killed_senders_lose_nothing_and_double_only_what_is_in_doubt(tmp_path: Path) -> None:
    print(f"seed {SEED}, {KILLS} kills, {MESSAGES} messages")
    chance = random.Random(SEED)
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store, *(message(f"u{number}@example.com") for number in range(MESSAGES)), at=T0)
    inbox = Inbox()
    give_up_at = time.monotonic() + SECONDS
    killed, in_doubt = 0, 0
    with smtp_server(inbox) as port:
        while killed < KILLS and time.monotonic() < give_up_at:
            process = sender(tmp_path, port)
            time.sleep(chance.uniform(0.0, 2.0 * MESSAGES / KILLS * 0.006))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
            process.wait(30)
            in_doubt += free_what_the_dead_hold(store)
            if len({arrived.recipients for arrived in inbox.arrived}) == MESSAGES:
                break
        for _ in range(3):
            process = sender(tmp_path, port)
            assert process.wait(300) == 0
            in_doubt += free_what_the_dead_hold(store)
    arrived = Counter(one.recipients[0] for one in inbox.arrived)
    ids = {one.recipients[0]: set[str]() for one in inbox.arrived}
    for one in inbox.arrived:
        ids[one.recipients[0]].add(str(one.parsed["Message-ID"]))
    doubled = sum(count - 1 for count in arrived.values())
    print(f"{killed} killed, {in_doubt} in doubt, {doubled} doubled")
    assert killed >= min(KILLS, 5)
    assert len(arrived) == MESSAGES, "a message was lost"
    assert max(arrived.values()) <= 2
    assert doubled <= in_doubt, "a message was doubled although its sender had noted it, or had not begun"
    assert all(len(found) == 1 for found in ids.values()), "a second copy has the first one's Message-ID"
    marked = sum(DUPLICATE_MARK in one.content for one in inbox.arrived)
    # a sender that settles a doubt may be killed too, so that one doubt is met twice
    assert doubled <= marked <= in_doubt, "whoever may get a second copy is told so"
    with store.transaction() as connection:
        states = {state for (state,) in connection.execute(select(deliveries.outbox.c.state))}
    assert states <= {"sent", "unknown"}


@pytest.mark.parametrize("point", ["outbox.claimed", "outbox.handed_over", "outbox.taken", "outbox.marked"])
def test_a_sender_killed_at_each_point(tmp_path: Path, point: str) -> None:
    store = open_ops_store(Settings(data_dir=tmp_path))
    put(store, message("ann@example.com"), at=T0)
    inbox = Inbox()
    with smtp_server(inbox) as port:
        process = subprocess.run(
            [sys.executable, "-c", SENDER, str(tmp_path), str(port)],
            cwd=ROOT,
            env={**os.environ, "ALMANAC_FAILPOINT": f"{point}:1"},
            stdout=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert process.returncode == -signal.SIGKILL
        free_what_the_dead_hold(store)
        for _ in range(2):
            assert sender(tmp_path, port).wait(60) == 0
    # only the one that had been taken, and not yet noted, comes twice
    assert len(inbox.arrived) == (2 if point == "outbox.taken" else 1)
