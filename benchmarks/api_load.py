"""What the API answers under load: `python -m benchmarks.api_load --folder DIR`, or `make load`.

The folder gets a platform of 5,000 teams, its night, and a key for each team; what is there is used again.
Then `almanac serve` runs as a process of its own and is asked for the usage of random teams and periods at a
constant rate, whether or not it keeps up: a latency counts from the moment at which the question was due.
Measured alone, with viewers of the live figures beside, and with a publication in the middle of those.
"""

import argparse
import asyncio
import gc
import json
import random
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from benchmarks.markdown import facts, mega, table
from benchmarks.nights import NIGHT
from benchmarks.platform import LAST_DAY, Plan, Platform, read_platform, write_platform
from benchmarks.watch import watch
from tests.api_server import ApiServer, serving

ALONE, VIEWERS, PUBLISHED = "alone", "with viewers", "with viewers and a publication"

TEAMS, ORGANIZATIONS = 5_000, 100
CALLS, DAYS = 250_000, 60
# Connections that are kept; a question waits for a free one, and the wait counts.
CONNECTIONS = 64
# Seconds before the first measured question.
WARM_UP = 3.0
# Seconds after which a question without an answer counts as an error.
GIVE_UP = 30.0

# Another night of the same numbers: as a build leaves it, then published by flows.publish itself.
PUBLISH = """
import shutil, sys
from pathlib import Path
import duckdb
from flows.publish import publish
from flows.settings import Settings

settings = Settings(data_dir=Path(sys.argv[1]), source=None, target="duckdb")
settings.build_dir.mkdir(parents=True, exist_ok=True)
side_file = settings.build_dir / "of-benchmark" / "warehouse.duckdb"
side_file.parent.mkdir(exist_ok=True)
shutil.copyfile(settings.warehouse_path, side_file)
with duckdb.connect(str(side_file)) as connection:
    connection.execute("update kept.coverage set landing_number = landing_number + 1")
publish(side_file, settings)
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """What is asked: the platform, its data folder, and each team's key."""

    platform: Platform
    data_dir: Path
    keys: dict[str, str]


@dataclass(slots=True)
class Run:
    """One minute of questions. Seconds and bytes."""

    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory: tuple[int, int, int] = (0, 0, 0)  # before, the most, after
    viewers: int = 0
    # messages that viewers got, besides the first
    messages: int = 0
    nights: set[str] = field(default_factory=set)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def prepare(folder: Path, plan: Plan) -> Bench:
    """Make what is missing of the folder: the platform, its night, and the keys."""
    place = folder / "platform"
    if place.exists():
        platform = read_platform(place)
    else:
        _say(f"generating {plan.teams:,} teams")
        unfinished = place.with_name("platform.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        platform = write_platform(plan, unfinished)
        unfinished.rename(place)
    data_dir = folder / "data"
    if not (data_dir / "warehouse.duckdb").exists():
        _say("the night")
        as_of = (platform.known_until + NIGHT).isoformat()
        watch(["nightly", "--as-of", as_of], data_dir=data_dir, environment={"ALMANAC_SOURCE": str(place)})
    kept = folder / "keys.json"
    if not kept.exists():
        _say("a key for each team")
        kept.touch(0o600)
        kept.write_text(json.dumps(_make_keys(data_dir)), encoding="utf-8")
    return Bench(platform, data_dir, json.loads(kept.read_text(encoding="utf-8")))


def _make_keys(data_dir: Path) -> dict[str, str]:
    import duckdb

    from flows.api_keys import create_key
    from flows.ops_store import open_ops_store
    from flows.review_scopes import Scope
    from flows.settings import Settings

    with duckdb.connect(str(data_dir / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute("select team_id from marts.dim_teams order by team_id").fetchall()
    store = open_ops_store(Settings(data_dir=data_dir, source=None, target="duckdb"))
    now = datetime.now(UTC).replace(tzinfo=None)
    return {
        team: create_key(
            store, scope=Scope("team", team), name="load", created_by="benchmark", expires_at=None, now=now
        )
        for (team,) in rows
    }


def measure(bench: Bench, *, rate: int, seconds: int, viewers: int) -> dict[str, Run]:
    """The three runs, each with a service of its own."""
    runs = {}
    for name in (ALONE, VIEWERS, PUBLISHED):
        _say(f"{rate} questions a second for {seconds} s, {name}")
        story = bench.data_dir.parent / "serve.log"
        with serving(bench.data_dir, story, ALMANAC_API_REQUESTS_PER_MINUTE="1000000") as server:
            beside = 0 if name == ALONE else viewers
            runs[name] = asyncio.run(
                _run(bench, server, rate, seconds, beside, is_published=name == PUBLISHED)
            )
    return runs


async def _run(
    bench: Bench, server: ApiServer, rate: int, seconds: int, viewers: int, *, is_published: bool
) -> Run:
    run = Run(viewers=viewers)
    questions = _questions(bench, rate * seconds)
    asker = _Asker(server.address, run)
    publishing: asyncio.subprocess.Process | None = None
    gc.collect()
    gc.freeze()  # a pause of the asker would be measured as the service's
    async with asker.connected(CONNECTIONS), _watching(bench, server, viewers, run):
        warm = Run()
        await _Asker(server.address, warm, asker.free).ask_all(
            _questions(bench, int(rate * WARM_UP), seed=2), rate
        )
        before, cpu_before, began = server.memory(), server.cpu_seconds(), time.perf_counter()
        asking = asyncio.create_task(asker.ask_all(questions, rate))
        if is_published:
            await asyncio.sleep(seconds / 2)
            publishing = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PUBLISH, str(bench.data_dir)
            )
        await asking
        run.seconds = time.perf_counter() - began
        run.cpu_seconds = server.cpu_seconds() - cpu_before
        if publishing is not None and await publishing.wait():
            raise RuntimeError("The publication failed.")
        run.memory = (before, server.memory("VmHWM"), server.memory())
    return run


def _questions(bench: Bench, count: int, seed: int = 1) -> list[bytes]:
    """Random teams, each with its own key; days, weeks and months alike."""
    dealt = random.Random(seed)
    teams = list(bench.keys)
    days = [bench.platform.plan.first_day + timedelta(days=n) for n in range(bench.platform.plan.days)]
    forms = ("%Y-%m-%d", "%G-W%V", "%Y-%m")
    found = []
    for _ in range(count):
        team, period = dealt.choice(teams), dealt.choice(days).strftime(dealt.choice(forms))
        path = f"/api/teams/{quote(team, safe='')}/usage?period={period}"
        found.append(
            f"GET {path} HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {bench.keys[team]}\r\n\r\n".encode()
        )
    return found


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Asker:
    """Asks over kept connections, each question when it is due or as soon as a connection is free."""

    def __init__(self, address: tuple[str, int], run: Run, free: "asyncio.Queue[Line] | None" = None) -> None:
        self._address = address
        self._run = run
        self.free: asyncio.Queue[Line] = free if free is not None else asyncio.Queue()

    @asynccontextmanager
    async def connected(self, count: int) -> AsyncIterator[None]:
        for _ in range(count):
            self.free.put_nowait(await asyncio.open_connection(*self._address))
        yield
        while not self.free.empty():
            self.free.get_nowait()[1].close()

    async def ask_all(self, questions: Sequence[bytes], rate: int) -> None:
        began = time.perf_counter()
        tasks = []
        for number, question in enumerate(questions):
            due = began + number / rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(self._ask(question, due)))
        await asyncio.gather(*tasks)

    async def _ask(self, question: bytes, due: float) -> None:
        line: Line | None = await self.free.get()
        try:
            assert line is not None
            status, body = await asyncio.wait_for(_answer(line, question), GIVE_UP)
            if status != 200:
                self._run.errors.append(f"{status} {body[:100]!r}")
            else:
                self._run.nights.add(json.loads(body)["night"])
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self._run.errors.append(f"{type(error).__name__}: {error}")
            if line is not None:
                line[1].close()
            line = None
        self._run.latencies.append(time.perf_counter() - due)
        self.free.put_nowait(line or await asyncio.open_connection(*self._address))


async def _answer(line: Line, question: bytes) -> tuple[int, bytes]:
    reader, writer = line
    writer.write(question)
    status, length = await _head(reader)
    return status, await reader.readexactly(length)


async def _head(reader: asyncio.StreamReader) -> tuple[int, int]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    first, *fields = head.split("\r\n")
    lengths = [int(one.partition(":")[2]) for one in fields if one.startswith("content-length:")]
    return int(first.split()[1]), lengths[0] if lengths else 0


@asynccontextmanager
async def _watching(bench: Bench, server: ApiServer, viewers: int, run: Run) -> AsyncIterator[None]:
    """So many viewers of the live figures, each of another team."""
    tasks, seated = [], asyncio.Semaphore(0)
    for team in list(bench.keys)[:viewers]:
        question = f"GET /api/live HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {bench.keys[team]}\r\n\r\n"
        tasks.append(asyncio.create_task(_view(server.address, question.encode(), run, seated)))
        await asyncio.sleep(0.01)
    for _ in tasks:
        await seated.acquire()
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _view(address: tuple[str, int], question: bytes, run: Run, seated: asyncio.Semaphore) -> None:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(question)
        status, _ = await _head(reader)
        is_first = True
        while status == 200:
            if (await reader.readline()).startswith(b"data:"):
                if is_first:
                    seated.release()
                else:
                    run.messages += 1
                is_first = False
            if reader.at_eof():
                break
        run.errors.append(f"a viewer was let go ({status})")
    except OSError as error:
        run.errors.append(f"a viewer: {error}")
    finally:
        seated.release()
        writer.close()


# --- what is said ------------------------------------------------------------------------------------------


def report(bench: Bench, runs: dict[str, Run], rate: int) -> str:
    """The results as Markdown: the machine, then one column for each run."""
    plan = bench.platform.plan
    told = (
        f"GET /api/teams/{{id}}/usage, {rate} a second, {plan.teams:,} teams, {plan.days} days, "
        f"{plan.calls:,} calls, {CONNECTIONS} connections"
    )
    columns = list(runs.values())
    rows = [
        ["answers", *(f"{len(run.latencies):,}" for run in columns)],
        ["a second", *(f"{len(run.latencies) / run.seconds:.1f}" for run in columns)],
        ["errors", *(f"{len(run.errors):,}" for run in columns)],
        *(
            [f"p{share * 100:g}, ms", *(f"{run.percentile(share) * 1000:.1f}" for run in columns)]
            for share in (0.5, 0.95, 0.99, 0.999)
        ),
        ["longest, ms", *(f"{max(run.latencies) * 1000:.1f}" for run in columns)],
        [
            "processor time of the service, ms an answer",
            *(f"{run.cpu_seconds / len(run.latencies) * 1000:.2f}" for run in columns),
        ],
        ["memory before, MB", *(mega(run.memory[0]) for run in columns)],
        ["- after, MB", *(mega(run.memory[2]) for run in columns)],
        ["- at most, MB", *(mega(run.memory[1]) for run in columns)],
        ["live viewers", *(f"{run.viewers:,}" for run in columns)],
        ["- changes that they were sent", *(f"{run.messages:,}" for run in columns)],
        ["nights in the answers", *(f"{len(run.nights)}" for run in columns)],
    ]
    lines = [facts(told), "", *table(["figure", *runs], rows)]
    for name, run in runs.items():
        lines += [f"{name}: {error}" for error in run.errors[:5]]
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api_load", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="made once, used again on later runs")
    parser.add_argument("--rate", type=int, default=200, help="questions a second")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--viewers", type=int, default=500)
    parser.add_argument("--teams", type=int, default=TEAMS)
    parser.add_argument("--last-day", type=date.fromisoformat, default=LAST_DAY)
    given = parser.parse_args(arguments)
    plan = Plan(
        CALLS, DAYS, given.last_day, teams=given.teams, organizations=ORGANIZATIONS, largest_share=0.05
    )
    given.folder.mkdir(parents=True, exist_ok=True)
    bench = prepare(given.folder.resolve(), plan)
    print(
        report(
            bench, measure(bench, rate=given.rate, seconds=given.seconds, viewers=given.viewers), given.rate
        )
    )


if __name__ == "__main__":
    main()
