"""A process that sends what is due, for tests that kill it."""

from __future__ import annotations

import json
import multiprocessing
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from flows.mail_channel import MailChannel, SmtpServer
from flows.ops_store import open_ops_store
from flows.outbox import deliver
from flows.settings import Settings

READY_SECONDS = 60


def send_all(settings: str, port: int, ready: Connection | None = None) -> None:
    """The process's work: says that it is ready, then sends; what is in doubt is sent again at once."""
    store = open_ops_store(Settings(**json.loads(settings)))
    server = SmtpServer("smtp+plain", "127.0.0.1", port)
    if ready is not None:
        ready.send(True)
    deliver(store, {"mail": MailChannel(server, envelope_sender="b@example.com")}, grace=timedelta(0))


def start_sender(settings: dict[str, Any], port: int) -> ForkServerProcess:
    """A sender that is about to send; forked from a process that has loaded everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "psycopg", "sqlalchemy.dialects.postgresql.psycopg"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=send_all, args=(json.dumps(settings), port, theirs))
    process.start()
    theirs.close()
    with ours:
        assert ours.poll(READY_SECONDS), "the sender did not start"
        ours.recv()
    return process
