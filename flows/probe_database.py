"""The probe of a database: a connection of its own, SELECT 1, and nothing kept open."""

from __future__ import annotations

import math
import os
import re
import socket
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import psycopg

from flows.probe_results import Finding, ProbeVerdict

if TYPE_CHECKING:
    from collections.abc import Callable

NO_NETWORK = "no network"
# By SQLSTATE: the server answers, and will not have us. That says nothing about whom it serves.
_OUR_FAULT = {
    "28000": "it does not let us in: correct the user",
    "28P01": "it does not let us in: correct the password",
    "3D000": "it has no database of that name",
    "42501": "its user may not connect",
    NO_NETWORK: "this machine could not ask: no network, or no resolver",
}
_REASONS = {
    "53300": "it has no connection left",
    "57P03": "it is starting up or shutting down",
    "57014": "SELECT 1 took too long",
}


class DatabaseProbe:
    """One probe, made in a thread: libpq waits where nobody can cancel it but by closing its socket."""

    def __init__(self, url: str, *, deadline_seconds: float) -> None:
        self._url = url
        self._deadline_seconds = deadline_seconds
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def start(self, done: Callable[[Finding], None]) -> None:
        """Begin; `done` is called from the thread, once, with what was found."""
        threading.Thread(target=lambda: done(self._ask()), name="database probe", daemon=True).start()

    def abandon(self) -> None:
        """End the wait for a server that does not answer."""
        if self._connection is None:
            return  # still connecting, which has a limit of its own
        with suppress(OSError, psycopg.Error):
            handle = os.dup(self._connection.fileno())
            with socket.socket(fileno=handle) as wire:
                wire.shutdown(socket.SHUT_RDWR)

    def _ask(self) -> Finding:
        milliseconds = math.ceil(self._deadline_seconds * 1000)
        try:
            self._connection = psycopg.connect(
                self._url,
                # libpq knows no less than two seconds
                connect_timeout=max(2, math.ceil(self._deadline_seconds)),
                application_name="almanac probe",
            )
            with closing(self._connection):
                # of this transaction alone: poolers lend the session to others, and take no options
                self._connection.execute(f"set local statement_timeout = {milliseconds}")
                row = self._connection.execute("select 1").fetchone()
        except psycopg.ProgrammingError as error:
            if error.sqlstate is None:
                return Finding(ProbeVerdict.unknown, "its URL cannot be read")
            return _failure(error)
        except psycopg.Error as error:
            return _failure(error)
        except Exception as error:
            # our own mistake says nothing about the database
            return Finding(ProbeVerdict.unknown, f"the probe itself failed: {type(error).__name__}")
        if row != (1,):
            return Finding(ProbeVerdict.down, "SELECT 1 is not answered by 1")
        return Finding(ProbeVerdict.up)


# Of a connection that was never made libpq gives no SQLSTATE: only these words tell what was wrong.
_WORDS = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("permission denied for database", "42501"),
    ("too many connections", "53300"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
    ("not currently accepting connections", "57P03"),
    ("starting up", "57P03"),
    ("shutting down", "57P03"),
    ("temporary failure in name resolution", NO_NETWORK),
    ("network is unreachable", NO_NETWORK),
    ("cannot assign requested address", NO_NETWORK),
    ("timeout", "no connection in time"),
    ("refused", "it refuses connections"),
    ("certificate", "its certificate is not to be trusted"),
    ("no such file", "it does not listen"),
    ("resolve", "its name leads nowhere"),
    ("translate host name", "its name leads nowhere"),
)
_ABSENT = re.compile(r"(?P<what>role|database) \".*\" does not exist")


def _failure(error: psycopg.Error) -> Finding:
    """What an error means; its text may hold the host and the user, and is not repeated."""
    state = error.sqlstate or _meaning_of(str(error).lower())
    if state in _OUR_FAULT:
        return Finding(ProbeVerdict.unknown, _OUR_FAULT[state])
    if error.sqlstate and state not in _REASONS:
        return Finding(ProbeVerdict.down, f"SELECT 1 fails with SQLSTATE {state}")
    return Finding(ProbeVerdict.down, _REASONS.get(state, state))


def _meaning_of(text: str) -> str:
    """The SQLSTATE that libpq's words stand for, or the reason itself.

    A name may have several addresses: what one of them says counts before what this machine could not do.
    """
    if absent := _ABSENT.search(text):
        return "28000" if absent["what"] == "role" else "3D000"
    found = [meaning for words, meaning in _WORDS if words in text]
    return (
        next((meaning for meaning in found if meaning != NO_NETWORK), NO_NETWORK)
        if found
        else "no connection"
    )
