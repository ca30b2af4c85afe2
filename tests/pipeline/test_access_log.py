"""The access log lands line by line, each once: through rotations, copies, packing, kills and rubbish."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flows import landing_store, security_sources
from flows.access_log_lines import NoRequest, read_line
from flows.land_access_log import CHUNK_BYTES, KEPT_DAYS, LONGEST_LINE, AccessLogReport, land_access_log
from flows.mirror import mirror
from tests.postgres_server import PostgresServer
from tests.warehouse import ROOT

AS_OF = datetime(2026, 11, 23)


class Log:
    """A folder with a log that is written and rotated as a proxy and logrotate do it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "access.log"
        self.landing = folder / "landing.duckdb"
        self.written: list[str] = []
        self._number = 0
        self._half = b""
        self.path.touch()
        # landings go here instead of into the file
        self.memory: duckdb.DuckDBPyConnection | None = None

    def line(self, status: int = 401, **more: Any) -> bytes:
        self._number += 1
        self.written.append(f"/p/{self._number}")
        happened_at = AS_OF - timedelta(days=1) + timedelta(seconds=self._number)
        fields = {"ts": happened_at.isoformat(), "status": status, "client_ip": "192.0.2.7"}
        return json.dumps({**fields, "method": "POST", "path": f"/p/{self._number}?key=no", **more}).encode()

    def write(self, count: int = 1) -> None:
        for _ in range(count):
            rest, self._half = self._half, b""
            self._append(rest + self.line() + b"\n")

    def _append(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def half(self) -> None:
        """Begin a line; the next write ends it."""
        if not self._half:
            line = self.line() + b"\n"
            self._append(line[:20])
            self._half = line[20:]

    def rename(self) -> None:
        """Rotation by renaming: the proxy goes on in a new file."""
        self._end_line()
        self._shift()
        if self.path.exists():
            self.path.rename(self.path.with_name("access.log.1"))
        self.path.touch()

    def copytruncate(self) -> None:
        self._end_line()
        self._shift()
        shutil.copyfile(self.path, self.path.with_name("access.log.1"))
        os.truncate(self.path, 0)

    def pack(self) -> None:
        """What was rotated first is packed."""
        for path in self.path.parent.glob("access.log.[0-9]"):
            with gzip.open(path.with_name(f"{path.name}.gz"), "wb") as packed:
                packed.write(path.read_bytes())
            path.unlink()

    def _end_line(self) -> None:
        rest, self._half = self._half, b""
        self._append(rest)

    def _shift(self) -> None:
        for number in range(8, 0, -1):
            for suffix in ("", ".gz"):
                old = self.path.with_name(f"access.log.{number}{suffix}")
                if old.exists():
                    old.rename(self.path.with_name(f"access.log.{number + 1}{suffix}"))

    def land(self, *, bytes_at_once: int = 1 << 20, as_of: datetime = AS_OF) -> AccessLogReport:
        if self.memory is not None:
            return self._land(self.memory, bytes_at_once, as_of)
        with landing_store.transaction(self.landing) as connection:
            landing_store.prepare(connection)
            return self._land(connection, bytes_at_once, as_of)

    def _land(
        self, connection: duckdb.DuckDBPyConnection, bytes_at_once: int, as_of: datetime
    ) -> AccessLogReport:
        report = land_access_log(connection, f"{self.path}*", as_of=as_of, bytes_at_once=bytes_at_once)
        assert report is not None
        return report

    def rows(self, what: str = "path") -> list[Any]:
        query = f"select {what} from raw.access_log order by log_id"
        if self.memory is not None:
            return [row[0] for row in self.memory.execute(query).fetchall()]
        with duckdb.connect(str(self.landing), read_only=True) as connection:
            return [row[0] for row in connection.execute(query).fetchall()]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "logs")


ACTIONS = st.lists(
    st.sampled_from(["write", "write3", "half", "rename", "copytruncate", "pack", "land", "land_little"]),
    min_size=1,
    max_size=14,
)


@given(actions=ACTIONS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_line_lands_once_however_the_log_is_cut(
    actions: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = Log(tmp_path_factory.mktemp("logs"))
    with duckdb.connect() as log.memory:
        landing_store.prepare(log.memory)
        for action in actions:
            match action:
                case "write3":
                    log.write(3)
                case "land_little":
                    log.land(bytes_at_once=300)
                case _:
                    getattr(log, action)()
        log.rename()
        for _ in range(40):
            if not log.land(bytes_at_once=700).lines_landed:
                break
        log.land()
        assert sorted(log.rows()) == sorted(log.written)
        assert len(set(log.rows("log_id"))) == len(log.written)


@pytest.mark.parametrize("rotation", ["rename", "copytruncate"])
def test_a_log_is_written_and_rotated_while_it_is_read(log: Log, rotation: str) -> None:
    def write() -> None:
        for number in range(1, 401):
            log.write()
            if number % 50 == 0:
                getattr(log, rotation)()

    with duckdb.connect() as log.memory:
        landing_store.prepare(log.memory)
        writer = threading.Thread(target=write)
        writer.start()
        while writer.is_alive():
            log.land()
        writer.join()
        log.land()
        assert sorted(log.rows()) == sorted(log.written)


def test_nothing_secret_lands(log: Log) -> None:
    line = log.line(
        team_id="acme", key_id="sk-thisisakey12345678", Authorization="Bearer sk-abc", user_agent="me"
    )
    path = b"/v1/sk-abcdefghijkl/x"
    combined = (
        b'192.0.2.1 - eve [22/Nov/2026:10:00:00 +0100] "GET '
        + path
        + b'?key=sk-2 HTTP/1.1" 403 1 "r" "agent"'
    )
    log.path.write_bytes(line + b"\n" + combined + b"\n")
    log.land()
    with duckdb.connect(str(log.landing), read_only=True) as connection:
        rows = connection.execute("select * exclude (log_id) from raw.access_log order by log_id").fetchall()
        text = str(connection.execute("select * from raw.access_log").fetchall())
    key = hashlib.sha256(b"sk-thisisakey12345678").hexdigest()[:8]
    assert rows[0][1:9] == ("192.0.2.7", "POST", "/p/1", 401, "acme", key, None, "access.log")
    assert rows[1][:5] == (datetime(2026, 11, 22, 9), "192.0.2.1", "GET", "/v1/[redacted]/x", 403)
    assert not any(word in text for word in ("sk-", "Bearer", "key=", "agent", "eve"))


LINE = '{} [22/Nov/2026:10:00:00 +0100] "{}" 401 12{}'
POST = "POST /v1/x?key=1 HTTP/1.1"
AGENT = ' "https://a.example/" "a \\"quoted\\" agent"'


@pytest.mark.parametrize("tail", ["", AGENT, f'{AGENT} "203.0.113.9, 198.51.100.1"'])
@pytest.mark.parametrize(
    ("before", "client"),
    [
        ("192.0.2.1 - -", "192.0.2.1"),
        ("2001:DB8::1 - eve", "2001:db8::1"),
        ("client.example - -", "client.example"),
        ('192.0.2.1 - ""', "192.0.2.1"),
        ("192.0.2.1 - a user [of] 198.51.100.1", "192.0.2.1"),
        ("192.0.2.1 - [01/Jan/2020:00:00:00 +0000] \\x22GET", "192.0.2.1"),
        ("api.example:443 192.0.2.1 - -", "192.0.2.1"),
        ("api.example 192.0.2.1 - a user", "192.0.2.1"),
    ],
)
def test_lines_of_text_in_their_formats(before: str, client: str, tail: str) -> None:
    request = read_line(LINE.format(before, POST, tail))
    assert (request.client, request.method, request.path) == (client, "POST", "/v1/x")
    assert (request.status, request.happened_at) == (401, datetime(2026, 11, 22, 9))


@pytest.mark.parametrize(
    ("request_text", "method", "path"),
    [
        ("", None, None),
        ("-", None, None),
        ("\\x16\\x03\\x01" * 20, None, None),
        ("GET /caf\\xc3\\xa9\\x22\\\\\\n HTTP/1.0", "GET", '/café"\\'),
    ],
)
def test_requests_with_escapes_and_without(request_text: str, method: str | None, path: str | None) -> None:
    request = read_line(LINE.format("192.0.2.1 - -", request_text, AGENT))
    assert (request.method, request.path) == (method, path)


@pytest.mark.parametrize(
    "line",
    [
        LINE.format("192.0.2.1 -", POST, ""),
        LINE.format("192.0.2.1 - -", POST, ' "one"'),
        LINE.format("192.0.2.1 - -", POST, f"{AGENT} 0.1"),
        LINE.format("192.0.2.1 - -", 'a " b', AGENT),
        LINE.format("192.0.2.1 - -", POST, "").replace("Nov", "Nox"),
    ],
)
def test_a_line_of_another_format_is_no_request(line: str) -> None:
    with pytest.raises(NoRequest):
        read_line(line)


# Once a line of 500 of them took a second, and one of 30 bytes of a TLS handshake for ever.
@pytest.mark.parametrize(
    "piece", [" ", '"', "[", "] [", "\\", '\\"', "\\x16", "a ", '" "', "- [", '""', '"" [', ":1]"]
)
@pytest.mark.parametrize(
    "form", ["{}", "192.0.2.1 - {} x", "{}|" + LINE.format("192.0.2.1 - -", POST, AGENT) + "|0.1"]
)
def test_no_line_takes_long(piece: str, form: str) -> None:
    hostile = piece * ((LONGEST_LINE - 200) // len(piece))
    lines = [form.format(hostile)]
    lines.append(LINE.format(f"192.0.2.1 - {hostile}", POST, AGENT) + " 0.1")
    lines.append(LINE.format("192.0.2.1 - -", hostile, AGENT) + " 0.1")
    lines.append(LINE.format("192.0.2.1 - -", POST, hostile) + " 0.1")
    lines.append(json.dumps({"status": 200, "time": hostile, "uri": hostile}))
    began = time.process_time()
    for line in lines:
        with pytest.raises(NoRequest):
            read_line(line)
    assert time.process_time() - began < 0.5


NUMBERS = [
    "9e999999",
    "-1e-999999",
    "NaN",
    "sNaN",
    "Infinity",
    "1e400",
    "9" * 4000,
    "0001-01-01T00:00:00+14:00",
]
NUMBERS += [
    "9999-12-31T23:59:59-14:00",
    "31/Dec/9999:23:59:59 -1400",
    "99999999999999",
    "1.2.3",
    "\ud800",
    "²",
]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.sampled_from(NUMBERS),
    st.integers(min_value=10**300, max_value=10**310), st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["headers", "uri", "X-Team-Id"]), st.text(max_size=3), max_size=2),
)  # fmt: skip
GOOD = {"ts": "2026-11-22T10:00:00", "status": 401, "path": "/p", "client_ip": "192.0.2.1", "team_id": "t"}
NAMES = ["ts", "msec", "status", "path", "request", "method", "team_id", "key_id", "client_ip"]
NAMES += ["duration_ms", "request_time", "Duration", "DownstreamStatus"]


@given(given_fields=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4), is_good=st.booleans())
@example(given_fields={"request_time": "9e999999"}, is_good=True)
@settings(max_examples=400, deadline=None)
def test_a_line_is_a_request_or_none_whatever_its_values(given_fields: dict[str, Any], is_good: bool) -> None:
    try:
        request = read_line(json.dumps({**(GOOD if is_good else {}), **given_fields}))
    except NoRequest:
        return
    assert request.duration_ms is None or 0 <= request.duration_ms <= 10**12
    assert request.happened_at.tzinfo is None
    assert 100 <= request.status <= 999
    for text in (request.client, request.method, request.path, request.team_id, request.key_id):
        assert text is None or (text.encode() and len(text) <= 300)


def test_json_that_no_number_or_stack_can_hold_is_no_request() -> None:
    for line in ('{"ts": %s}' % ("9" * 5000), '{"a":' * 10_000, "{" + '"a":[' * 10_000, '{"ts": 1e999}'):
        with pytest.raises(NoRequest):
            read_line(line)


def test_rubbish_is_counted_and_bounded(log: Log) -> None:
    long = b'{"path": "' + b"x" * (1 << 20) + b'"}'
    good = log.line()
    lines = [
        b"\0\0\0" + good,
        b"no log line",
        b"{",
        b'{"status": 200}',
        b"\xff\xfe",
        long,
        b"a\0b",
        b"",
        log.line(),
        long,
    ]
    log.path.write_bytes(b"\n".join(lines) + b"\n")
    report = log.land(bytes_at_once=8 << 20)
    assert log.rows() == log.written
    assert report.bad_lines == 7
    assert "line 2" in str(report.first_bad)
    assert log.land().bad_lines == 0, "a bad line is counted once"


@pytest.mark.parametrize("size", [3, LONGEST_LINE + 1, 2 * CHUNK_BYTES + 7])
@pytest.mark.parametrize("bytes_at_once", [90_000, 8 << 20])
def test_a_hole_takes_no_line_with_it(log: Log, size: int, bytes_at_once: int) -> None:
    """A log that was truncated under a writer that does not append goes on where it was."""
    log.path.write_bytes(b"\0" * size + log.line() + b"\n" + log.line() + b"\n")
    assert sum(log.land(bytes_at_once=bytes_at_once).bad_lines for _ in range(8)) == 0
    assert log.rows() == log.written
    assert log.rows("line_offset")[0] == size


def test_the_hash_of_a_key_is_shortened_whatever_its_case() -> None:
    digest = hashlib.sha256(b"sk-1").hexdigest()
    for key in (digest, digest.upper(), digest[:60] + digest[60:].upper()):
        request = read_line(json.dumps({**GOOD, "team_id": key, "key_id": key}))
        assert (request.team_id, request.key_id) == (digest[:8], digest[:8])


def test_a_line_without_end_does_not_stop_the_log(log: Log) -> None:
    log.path.write_bytes(b"x" * (3 * LONGEST_LINE))
    assert sum(log.land(bytes_at_once=2 * LONGEST_LINE).bad_lines for _ in range(3)) == 1
    with log.path.open("ab") as file:
        file.write(b"yyy\n" + log.line() + b"\n")
    assert log.land().bad_lines == 0
    assert log.rows() == log.written


def test_a_file_that_is_being_packed_or_copied_waits(log: Log) -> None:
    log.write(20)
    whole = gzip.compress(log.path.read_bytes())
    packed = log.path.with_name("access.log.9.gz")
    packed.write_bytes(whole[:-30])
    report = log.land()
    assert report.lines_landed == 20
    assert "not packed to its end" in str(report)
    # the beginning of what is known already, under another name
    log.path.with_name("access.log.2").write_bytes(log.path.read_bytes()[:1500])
    packed.write_bytes(whole)
    assert log.land().lines_landed == 0
    assert log.rows() == log.written


def test_old_requests_are_left_out_and_go(log: Log) -> None:
    log.write(3)
    assert log.land().lines_landed == 3
    later = AS_OF + timedelta(days=KEPT_DAYS)
    log.write(1)
    assert log.land(as_of=later).old_lines == 1
    assert log.rows() == []
    log.path.write_bytes(b"")
    log.write(1)
    log.land()
    assert log.rows("log_id") == [4], "an id is not given twice"


def test_an_absent_log_is_said(log: Log) -> None:
    log.path.unlink()
    assert "no file" in str(log.land())
    assert not found(log).is_present
    assert "no source" in str(found(log))
    log.path.write_bytes(log.line() + b"\n")
    log.land()
    assert (found(log).is_present, found(log).row_count) == (True, 1)


def found(log: Log) -> security_sources.SecuritySource:
    (source,) = [one for one in security_sources.security_sources(log.landing) if one.name == "access_log"]
    return source


def at(minutes: int) -> datetime:
    return AS_OF + timedelta(minutes=minutes)


def change(path: Path, moment: datetime) -> None:
    seconds = moment.replace(tzinfo=UTC).timestamp()
    os.utime(path, (seconds, seconds))


def test_a_log_is_read_as_of_now_only_when_all_of_it_was(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write(20)
    log.land(bytes_at_once=500)
    assert (found(log).is_present, found(log).read_as_of) == (True, None), "there is more of it"
    assert "read on at the next landing" in str(found(log))
    log.land(as_of=at(15))
    assert found(log).read_as_of == at(15)
    log.rename()
    log.write(20)
    log.land(bytes_at_once=500, as_of=at(30))
    assert found(log).read_as_of == at(15)
    log.land(as_of=at(45))
    assert found(log).read_as_of == at(45)

    opened = Path.open

    def refused(path: Path, *arguments: Any, **more: Any) -> Any:
        if path == log.path:
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **more)

    log.path.with_name("access.log.1").write_bytes(log.line() + b"\nno line\n")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refused)
        log.land(as_of=at(60))
    assert (found(log).is_present, found(log).read_as_of) == (True, at(45))
    assert found(log).detail == (
        "access.log cannot be read: Permission denied; "
        "1 lines could not be read, the first 'access.log.1' line 2"
    )
    log.land(as_of=at(75))
    assert (found(log).read_as_of, found(log).detail) == (at(75), None)
    packed = log.path.with_name("access.log.9.gz")
    packed.write_bytes(gzip.compress(b"more\n" * 99)[:-9])
    change(packed, at(80))
    log.land(as_of=at(90))
    assert found(log).read_as_of == at(75), "a packed file is not whole"
    change(packed, at(80) - timedelta(days=3))
    log.land(as_of=at(105))
    assert found(log).read_as_of == at(105), "nothing of the last day can be in it"
    assert "not packed to its end" in str(found(log))


def test_of_too_many_files_the_newest_are_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.land_access_log.MOST_FILES", 1)
    log.write()
    old = log.path.with_name("access.log.1")
    old.write_bytes(log.line() + b"\n")
    for age, read_as_of in ((timedelta(hours=1), None), (timedelta(days=3), AS_OF)):
        change(log.path, AS_OF)
        change(old, AS_OF - age)
        assert "2 files match, the newest 1 are read" in str(log.land())
        assert found(log).read_as_of == read_as_of


def test_a_log_of_which_no_line_can_be_read_is_no_source(log: Log) -> None:
    log.land()
    assert (found(log).is_present, found(log).read_as_of) == (True, AS_OF), "it is empty yet"
    log.path.write_bytes(b"another format\n" * 3)
    log.land(as_of=at(15))
    assert (found(log).is_present, found(log).read_as_of) == (False, AS_OF)
    assert "3 lines could not be read" in str(found(log))
    log.land(as_of=at(30))
    assert not found(log).is_present, "nothing new came"
    assert "none of its lines" in str(found(log))
    log.write()
    log.land(as_of=at(45))
    assert (found(log).is_present, found(log).read_as_of) == (True, at(45))
    with log.path.open("ab") as file:
        file.write(b"another format again\n")
    log.land(as_of=at(60))
    assert (found(log).is_present, found(log).read_as_of) == (True, at(45)), "all that came is unknown"


def test_a_log_that_is_old_counts_as_one(log: Log) -> None:
    log.write(3)
    later = AS_OF + timedelta(days=KEPT_DAYS)
    for minutes in (0, 15):
        log.land(as_of=later + timedelta(minutes=minutes))
        assert found(log).is_present
        assert found(log).read_as_of == later + timedelta(minutes=minutes)


@pytest.mark.parametrize("place", ["land.access_log_lines", "land.access_log", "land.committed"])
def test_a_killed_landing_loses_and_doubles_nothing(log: Log, place: str) -> None:
    log.write(50)
    code = (
        "import sys; from datetime import datetime; from flows import landing_store; "
        "from flows.land_access_log import land_access_log\n"
        "with landing_store.transaction(__import__('pathlib').Path(sys.argv[1])) as c:\n"
        "    landing_store.prepare(c); land_access_log(c, sys.argv[2], as_of=datetime(2026, 11, 23))"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, str(log.landing), f"{log.path}*"],
        cwd=ROOT,
        env={**os.environ, "ALMANAC_FAILPOINT": place, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    log.rename()
    log.write(5)
    log.land()
    assert sorted(log.rows()) == sorted(log.written)


def test_the_mirror_has_what_landed_and_no_more(log: Log, postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.create_database("access_log"), autocommit=True) as warehouse:

        def mirrored() -> list[Any]:
            mirror(log.landing, warehouse)
            found = warehouse.execute("select log_id, path, status from raw.access_log order by log_id")
            return found.fetchall()

        with landing_store.transaction(log.landing) as connection:
            landing_store.prepare(connection)
            landing_store.create_days(connection)
            connection.execute("insert into raw.landings values (1, ?, 'folder', true)", [AS_OF])
        log.write(3)
        log.land()
        assert mirrored() == [(1, "/p/1", 401), (2, "/p/2", 401), (3, "/p/3", 401)]
        log.write()
        log.land()
        assert mirrored()[2:] == [(3, "/p/3", 401), (4, "/p/4", 401)]
        log.land(as_of=AS_OF + timedelta(days=KEPT_DAYS - 1, seconds=3))
        assert mirrored() == [(3, "/p/3", 401), (4, "/p/4", 401)]
        log.land(as_of=AS_OF + timedelta(days=KEPT_DAYS))
        assert mirrored() == []
