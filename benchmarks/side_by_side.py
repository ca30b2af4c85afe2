"""One size of platform: our nights and every peer on the same data, one after the other.

The order is for the disk: ours go first and leave the tables that peers are compared with; then each peer has
its turn and its files are removed.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.load_postgres import apply_day, load
from benchmarks.markdown import facts
from benchmarks.new_day import CHANGED_DAYS, LATE_CHANGES, add_day
from benchmarks.nights import (
    EMPTY,
    FIRST,
    LATE,
    MADE_UP,
    NEXT_DAY,
    NIGHT,
    ONE_DAY,
    OTHER_FILE,
    REFRESH,
    SECOND,
    Nights,
)
from benchmarks.outputs import differences
from benchmarks.peers.order import Order
from benchmarks.peers.roster import BUILD, LATENCY, OURS, PEERS, REVIEW, SUMMARY, Peer
from benchmarks.peers.roster import NIGHT as NIGHT_ACTION
from benchmarks.platform import CALLS_PER_DAY, Platform, days_of, read_platform
from benchmarks.watch import Exceeded, Watched, watch_command
from tests.postgres_server import PostgresServer

# A platform's own server keeps its pages in memory as far as they go, and sorts in memory.
SERVER = {"shared_buffers": "1GB", "work_mem": "64MB", "maintenance_work_mem": "512MB", "max_wal_size": "8GB"}

# The days that pass are the 8th and 9th of a month, a Sunday and a Monday: a night rebuilds as much of its
# month with 1 million calls of history, which begin with that month, as with 100 million.
EARLY_DAY = date(2026, 11, 7)
# A Sunday. Platforms with busier days are not taken there.
LATE_DAY = date(2026, 11, 22)

# The second of 200 teams: 7 % of the jobs, where the first has 60 %.
TEAM = "org_01-team_1"
WHOLE_REVIEW = "review, drawn"
# Beside DuckDB and dbt, what peers are made of.
PACKAGES = ("pandas", "pyarrow", "polars", "psycopg")
SPARK = "spark"


@dataclass(frozen=True, slots=True)
class Size:
    """A size to measure: calls, the days they lie on, and where our nights read them (folder, postgresql)."""

    calls: int
    days: int
    source: str = "folder"

    @classmethod
    def parsed(cls, text: str) -> "Size":
        """From millions of calls, with optional days and source, such as 20, 20/17 or 20:postgresql.

        Without days there are about 120,000 calls on each.
        """
        calls_and_days, _, source = text.partition(":")
        if source not in ("", "folder", "postgresql"):
            raise ValueError(f"{source!r} is no source: folder or postgresql")
        millions, _, days = calls_and_days.partition("/")
        calls = round(float(millions) * 1_000_000)
        return cls(calls, int(days) if days else days_of(calls), source or "folder")

    @property
    def is_busier(self) -> bool:
        """Whether its days have more calls than those of the other sizes, so that it is not on their line."""
        return self.days != days_of(self.calls)

    def __str__(self) -> str:
        on_days = f" on {self.days} days" if self.is_busier else ""
        return f"{self.calls:,} calls{on_days}, {self.source}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may take, and the largest platforms that PostgreSQL and Spark are given."""

    seconds: float = 1200.0
    bytes: float = 16 * 2**30
    postgres_calls: float = 20_000_000
    # Not a peer of one machine: beyond this it takes hours there.
    spark_calls: float = 20_000_000
    # All models' SQL by hand builds every table in one go, and sorts more than a disk has room for.
    by_hand_calls: float = 20_000_000

    @property
    def of_engine(self) -> str:
        """What an engine is told, so that with all its process holds it stays within the limit."""
        return f"{self.bytes / 2**30 * 0.75:g}GiB"


# As it is printed, it is what is left of a run that was broken off.
@dataclass(slots=True)
class Outcome:
    """What one action of one peer took; `seconds` is None when it did not end, and `note` says why."""

    seconds: float | None = None
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    note: str = ""
    # Of its tables from ours: the greatest distance of any number, and the measures that are too far.
    greatest: float | None = None
    wrong: list[str] = field(default_factory=list)
    rows: list[list[Any]] | None = None

    @classmethod
    def of(cls, watched: Watched) -> "Outcome":
        return cls(watched.seconds, watched.cpu_seconds, max(watched.peak_bytes.values()))


@dataclass(slots=True)
class Result:
    """One size's figures, as they are written to JSON."""

    size: Size
    generated: Outcome
    # The day, the machine and the versions.
    told: str = ""
    nights: dict[str, Watched] = field(default_factory=dict)
    # By peer, then by action.
    peers: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    # Bytes of pages that the source's server read for a night, from its memory or from disk.
    read_bytes: dict[str, int] = field(default_factory=dict)
    file_bytes: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, default=str)


def measure(size: Size, work: Path, limits: Limits, *, wanted: frozenset[str], spark: bool = False) -> Result:
    """Generate, load and measure one size below `work`; `wanted` are the names of peers."""
    bench = Bench(size, work, limits)
    peers = [peer for peer in PEERS if peer.name in wanted]
    with bench.server_if(size.source == "postgresql" or any(peer.needs_server for peer in peers)):
        bench.first_night()
        bench.night(SECOND, later=NIGHT + timedelta(hours=1))
        for peer in peers:
            if peer.needs_server:
                bench.act(peer, BUILD, bench.days[0])
        bench.next_day(1, ONE_DAY)
        bench.ask(OURS, bench.nights.data_dir)
        bench.drawn_review()
        for peer in peers:
            if peer.needs_server:
                bench.act(peer, NIGHT_ACTION, bench.days[1])
                bench.ask(peer)
        bench.next_day(2, NEXT_DAY)
        # a night goes on from the file before the last one: two make up what theirs lack of the last days
        for days in (1, 2, 3):
            bench.night(EMPTY, later=NIGHT + timedelta(days=days))
        if not size.is_busier:
            bench.late_nights()
        bench.night(REFRESH, "--full-refresh", later=NIGHT + timedelta(days=3))
    bench.weigh()
    shutil.rmtree(bench.nights.data_dir)
    if spark and size.calls <= limits.spark_calls:
        bench.spark()
    for peer in peers:
        if not peer.needs_server:
            bench.act(peer, BUILD, bench.days[0])
            bench.act(peer, NIGHT_ACTION, bench.days[1])
            bench.ask(peer)
            shutil.rmtree(bench.place(peer), ignore_errors=True)
    return bench.result


class Bench:
    """The platform's three days, our data folder, the server and what was found so far."""

    def __init__(self, size: Size, work: Path, limits: Limits) -> None:
        self.size, self.work, self.limits = size, work, limits
        # as many as on every other day
        self.new_calls = CALLS_PER_DAY if not size.is_busier else size.calls // size.days
        _say(f"{size.calls:,} calls: generating")
        command = [sys.executable, "-m", "benchmarks.platform", "--calls", str(size.calls)]
        command += ["--days", str(size.days), "--last-day", str(EARLY_DAY)]
        generated = watch_command([*command, "--out", str(work / "day-0")], story=work / "generated.log")
        told = facts(f"{LATE_CHANGES:,} late changes and {self.new_calls:,} new calls a day", PACKAGES)
        self.result = Result(size, Outcome.of(generated), told)
        self.days = [read_platform(work / "day-0")]
        for _ in range(2):
            self._pass_a_day()
        self.today = 0
        self.url = ""
        self.nights = Nights(work / "data")
        self.result.nights = self.nights.watched

    @contextmanager
    def server_if(self, is_wanted: bool) -> Iterator[None]:
        """A PostgreSQL that holds the platform for the block, if the platform is small enough."""
        if not is_wanted or self.size.calls > self.limits.postgres_calls:
            if self.size.source == "postgresql":
                raise ValueError(f"{self.size.calls:,} calls are more than PostgreSQL is loaded with")
            yield
            return
        server = PostgresServer(**SERVER).start()
        try:
            self.url = server.create_database("platform")
            self._say("loading PostgreSQL")
            load(self.url, self.days[0].folder)
            yield
        finally:
            self.url = ""
            server.stop()

    # --- ours ----------------------------------------------------------------------------------------------

    @property
    def platform(self) -> Platform:
        return self.days[self.today]

    def first_night(self) -> None:
        self.night(FIRST)
        self.nights.export(self.work / "ours-0")
        if self.size.calls <= self.limits.by_hand_calls:
            self._say("all models' SQL by hand")
            self.nights.model_sql(self.platform.known_until + NIGHT, self.work / "models")

    def next_day(self, number: int, name: str) -> None:
        """A day passes; its night."""
        self.today = number
        # the peers on PostgreSQL are asked about the first two days only
        if self.url and (number == 1 or self.size.source == "postgresql"):
            apply_day(self.url, self.platform.folder)
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute("analyze")
        self.night(name)
        self.nights.export(self.work / f"ours-{number}")

    def late_nights(self) -> None:
        """More days pass up to one late in the month: nights that make them up, and the one of that day."""
        while self.days[-1].known_until.date() < LATE_DAY:
            self._pass_a_day()
        self.today = len(self.days) - 1
        self.night(MADE_UP)
        # the next night goes on from the file before the last one, which lacks those days
        self.night(OTHER_FILE, later=NIGHT + timedelta(hours=1))
        self._pass_a_day()
        self.today += 1
        self.night(LATE)

    def _pass_a_day(self) -> None:
        folder = self.work / f"day-{len(self.days)}"
        self.days.append(add_day(self.days[-1], folder, calls=self.new_calls))

    def night(self, name: str, *options: str, later: timedelta = NIGHT) -> None:
        self._say(name)
        is_folder = self.size.source == "folder"
        location = str(self.platform.folder) if is_folder else self.url
        before = 0 if is_folder else bytes_read(self.url)
        self.nights.run(name, self.platform, location, *options, later=later)
        if not is_folder:
            self.result.read_bytes[name] = bytes_read(self.url) - before
        self._say(f"{name}: {self.nights.watched[name]}")

    def drawn_review(self) -> None:
        """The review of a team's month with its page and PDF, as a command."""
        if month := self._month_for_review():
            self._say("one review")
            watched = self.nights.review(TEAM, f"{month:%Y-%m}")
            self.result.peers.setdefault(OURS.name, {})[WHOLE_REVIEW] = Outcome.of(watched)

    def weigh(self) -> None:
        """The sizes of what a night leaves."""
        for path in self.nights.data_dir.glob("*.duckdb"):
            self.result.file_bytes[path.name] = path.stat().st_size
        files = self.platform.folder.glob("*/*.parquet")
        self.result.file_bytes["source as Parquet"] = sum(path.stat().st_size for path in files)

    def spark(self) -> None:
        """The same models on a cluster of Apache Spark, on a platform of the same plan."""
        self._say("Apache Spark")
        work = self.work / SPARK
        work.mkdir()
        try:
            cluster = import_module("benchmarks.spark_cluster")
            built = cluster.measure(self.size.calls, work, worker_memory="4g", driver_memory="3g")
        except (ImportError, RuntimeError, SystemExit) as failed:
            print(failed, file=sys.stderr)
            outcome = Outcome(note="failed")
        else:
            outcome = Outcome.of(built.spark)
            outcome.greatest, outcome.wrong = 0.0, list(built.differences)
        self._keep(SPARK, BUILD, outcome)
        shutil.rmtree(work)

    # --- the peers -----------------------------------------------------------------------------------------

    def place(self, peer: Peer) -> Path:
        return self.work / peer.name

    def act(self, peer: Peer, action: str, platform: Platform) -> None:
        """Let a peer build or go through a night, and compare its tables with ours of the same day."""
        if action not in peer.actions:
            return
        if peer.needs_server and not self.url:
            why = f"not loaded above {self.limits.postgres_calls / 1e6:.0f} M calls"
            self._keep(peer.name, action, Outcome(note=why))
            return
        held = self.result.peers.get(peer.name, {}).get(BUILD)
        if held is not None and held.seconds is None:
            self._keep(peer.name, action, Outcome(note=held.note))
            return
        if action == NIGHT_ACTION and peer.redoes:
            shutil.rmtree(self.place(peer) / (peer.where or "tables"), ignore_errors=True)
            shutil.rmtree(self.place(peer) / "facts", ignore_errors=True)
        self._say(f"{peer.title}: {action}")
        outcome = self._bounded(peer.name, action, self._command(peer, action, platform))
        if outcome.seconds is not None and peer.where is not None:
            ours = self.work / f"ours-{self.days.index(platform)}"
            acts = self.result.peers[peer.name].values()
            is_partial = any("extrapolated" in act.note for act in acts)
            found = differences(ours, self.place(peer) / peer.where, peer.only, is_partial=is_partial)
            outcome.greatest = max(one.greatest for one in found)
            outcome.wrong = [str(one) for one in found if not one.is_within]
        self._say(f"{peer.title}: {outcome}")

    def ask(self, peer: Peer, place: Path | None = None) -> None:
        """The three questions about a team and all models, as far as the peer answers them."""
        done = self.result.peers.get(peer.name, {})
        if peer is not OURS and (NIGHT_ACTION not in done or done[NIGHT_ACTION].seconds is None):
            for action in peer.actions & {SUMMARY, LATENCY, REVIEW}:
                self._keep(peer.name, action, Outcome(note=done[NIGHT_ACTION].note))
            return
        for action in (SUMMARY, LATENCY, REVIEW):
            if action in peer.actions:
                self._say(f"{peer.title}: {action}")
                command = self._command(peer, action, self.days[1], place)
                outcome = self._bounded(peer.name, action, command)
                if peer is not OURS and outcome.rows is not None:
                    expected = self.result.peers[OURS.name][action].rows or []
                    outcome.greatest = farthest(expected, outcome.rows)

    def _command(self, peer: Peer, action: str, platform: Platform, place: Path | None = None) -> list[str]:
        order = Order(
            source=platform.folder,
            out=place or self.place(peer),
            url=self.url,
            known_until=platform.known_until,
            since=(self.days[0].known_until - timedelta(days=CHANGED_DAYS)).date(),
            team=TEAM,
            month=self._month_for_review() or self.days[1].plan.last_day.replace(day=1),
            week=_last_whole_week(self.days[1]),
            bound=self.limits.seconds / 2,
            memory_limit=self.limits.of_engine,
        )
        return [sys.executable, "-m", "benchmarks.peers", peer.name, action, *order.arguments()]

    def _bounded(self, name: str, action: str, command: list[str]) -> Outcome:
        """Run a peer's command within the limits; what it said and took."""
        answer, story = self.work / f"{name}-{action}.json", self.work / f"{name}-{action}.log"
        try:
            watched = watch_command(
                command,
                story=story,
                output=answer,
                most_seconds=self.limits.seconds,
                most_bytes=self.limits.bytes,
            )
        except Exceeded as exceeded:
            outcome = Outcome(note=str(exceeded))
        except RuntimeError as failed:
            print(failed, file=sys.stderr)
            is_memory = "MemoryError" in str(failed) or "Out of Memory" in str(failed)
            outcome = Outcome(note="out of memory" if is_memory else "failed")
        else:
            told = json.loads(answer.read_text(encoding="utf-8").splitlines()[-1])
            outcome = Outcome.of(watched)
            if "rows" in told:
                # of an answer the start of Python is no part
                outcome.seconds, outcome.rows = told["seconds"], told["rows"]
            outcome.seconds = told.get("extrapolated", outcome.seconds)
            outcome.note = told.get("note", "")
        self._keep(name, action, outcome)
        return outcome

    def _keep(self, name: str, action: str, outcome: Outcome) -> None:
        self.result.peers.setdefault(name, {})[action] = outcome

    def _month_for_review(self) -> date | None:
        """The last month that has ended, if the history reaches into it."""
        running = self.days[1].known_until.date().replace(day=1)
        ended = (running - timedelta(days=1)).replace(day=1)
        return ended if self.days[1].plan.first_day < running else None

    def _say(self, text: str) -> None:
        _say(f"{self.size.calls:,} calls: {text}")


def farthest(ours: list[list[Any]], theirs: list[list[Any]]) -> float:
    """The greatest distance of two answers' numbers, as a share of ours where that is above 1."""
    if len(ours) != len(theirs):
        return float("inf")
    pairs = [pair for rows in zip(ours, theirs, strict=True) for pair in zip(*rows, strict=True)]
    apart = 0.0
    for one, other in pairs:
        if isinstance(one, str) or isinstance(other, str):
            apart = max(apart, 0.0 if one == other else float("inf"))
        else:
            apart = max(apart, abs((one or 0) - (other or 0)) / max(1, abs(one or 0)))
    return apart


def _last_whole_week(platform: Platform) -> date:
    """The Monday of the last ISO week that had ended when the platform was last known."""
    end = platform.known_until.date()
    return end - timedelta(days=end.weekday() + 7)


def bytes_read(url: str) -> int:
    """Bytes of pages that the server has read so far for anyone, from its memory or from disk."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_stat_force_next_flush()")
        row = connection.execute(
            "select (blks_hit + blks_read) * current_setting('block_size')::bigint "
            "from pg_stat_database where datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
