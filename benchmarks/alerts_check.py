"""What `almanac alerts check` costs on a large platform: `python -m benchmarks.alerts_check --folder DIR`.

The folder gets a platform, its first night, and the platform a day later; what is there is used again.
Measured, each as a process of its own: a check of what has landed, one with a source in which nothing has
changed, one with a source whose last days have; beside them the few lines that a person would write: one scan
of the last day's calls with the p95 of the latency and the failure rate of each model group.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from benchmarks.markdown import facts, mega, table
from benchmarks.new_day import add_day
from benchmarks.nights import NIGHT
from benchmarks.platform import LAST_DAY, Plan, Platform, read_platform, write_platform
from benchmarks.watch import Watched, watch, watch_command

LANDED, UNCHANGED, CHANGED = "check of what has landed", "nothing changed", "last days' files changed"
HAND = "one scan of the last day by hand"

ORGANIZATIONS = 25

# One day, as what the rules on failures and latencies look at first.
BY_HAND = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
rows = connection.execute(
    "select model_group_used, count(*), count(error) / count(*), quantile_disc(latency_ms, 0.95) "
    "from raw.llm_calls where created_at >= cast(? as timestamp) - interval 1 day "
    "and created_at < cast(? as timestamp) group by model_group_used",
    [sys.argv[2], sys.argv[2]],
).fetchall()
assert rows
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured on: the folder, and the platform before and after a day."""

    folder: Path
    before: Platform
    after: Platform

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def as_of(self) -> datetime:
        return self.before.known_until + NIGHT


@dataclass(frozen=True, slots=True)
class Measured:
    """The checks by name, the scan by hand, and of each rule (seconds, candidates)."""

    checks: dict[str, Watched]
    hand: Watched
    rules: dict[str, tuple[float, int]]


def prepare(folder: Path, plan: Plan) -> Bench:
    """Make what is missing of the folder: the platforms, and the night of the first."""
    before = _platform(folder / "before", lambda place: write_platform(plan, place))
    after = _platform(folder / "after", lambda place: add_day(before, place, calls=plan.calls // plan.days))
    bench = Bench(folder, before, after)
    if not (bench.data_dir / "warehouse.duckdb").exists():
        _say("the first night")
        watch(
            ["nightly", "--as-of", bench.as_of.isoformat()],
            data_dir=bench.data_dir,
            environment={"ALMANAC_SOURCE": str(before.folder)},
        )
    return bench


def _platform(place: Path, write: Callable[[Path], Platform]) -> Platform:
    if place.exists():
        return read_platform(place)
    _say(f"generating {place.name}")
    # one that was broken off is not taken for a whole one
    unfinished = place.with_name(f"{place.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    written = write(unfinished)
    unfinished.rename(place)
    return replace(written, folder=place)


def measure(bench: Bench) -> Measured:
    """Run everything once; what is measured leaves the folder as it was, but for its incidents."""
    # What has landed last and in which state of the files is remembered by a check, not by a night.
    _check(bench, bench.data_dir, bench.before)
    checks = {}
    for name, source in ((LANDED, None), (UNCHANGED, bench.before)):
        _say(name)
        checks[name] = _check(bench, bench.data_dir, source)
    _say(HAND)
    hand = watch_command(
        [sys.executable, "-c", BY_HAND, str(bench.data_dir / "landing.duckdb"), str(bench.as_of)],
        story=bench.folder / "hand.log",
    )
    rules = _rules(bench)
    _say(CHANGED)
    copy = bench.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    try:
        for name in ("landing.duckdb", "ops.db"):
            shutil.copyfile(bench.data_dir / name, copy / name)
        os.link(bench.data_dir / "warehouse.duckdb", copy / "warehouse.duckdb")
        checks[CHANGED] = _check(bench, copy, bench.after)
    finally:
        shutil.rmtree(copy)
    return Measured(checks, hand, rules)


def _check(bench: Bench, data_dir: Path, source: Platform | None) -> Watched:
    moment = bench.as_of if source is None else source.known_until + NIGHT
    return watch(
        ["alerts", "check", "--as-of", moment.isoformat(), *(["--no-land"] if source is None else [])],
        data_dir=data_dir,
        environment={} if source is None else {"ALMANAC_SOURCE": str(source.folder)},
    )


def _rules(bench: Bench) -> dict[str, tuple[float, int]]:
    """Seconds and candidates of every rule, also of those that only a night asks."""
    from flows.alert_reader import open_rules
    from flows.settings import Settings

    found = {}
    with open_rules(Settings(data_dir=bench.data_dir), as_of=bench.as_of) as rules:
        for rule in rules.book.rules.values():
            started = time.perf_counter()
            candidates = rules.candidates(rule.name)
            found[f"{rule.name} ({rule.cadence})"] = (time.perf_counter() - started, len(candidates))
    return found


# --- what is said ------------------------------------------------------------------------------------------


def report(bench: Bench, measured: Measured) -> str:
    """The results as Markdown: the machine, the ratios, the raw figures, the rules."""
    hand = measured.hand
    ratios = [
        [
            f"{name} / {HAND}",
            f"{watched.seconds / hand.seconds:.1f}",
            f"{watched.cpu_seconds / hand.cpu_seconds:.1f}",
        ]
        for name, watched in measured.checks.items()
    ]
    raw = []
    for name, watched in (*measured.checks.items(), (HAND, hand)):
        raw += [
            [f"{name}, s", f"{watched.seconds:.1f}"],
            ["- of the processors, s", f"{watched.cpu_seconds:.1f}"],
            ["- peak memory, MB", mega(max(watched.peak_bytes.values()))],
        ]
    rules = [
        [name, f"{seconds:.2f}", f"{candidates:,}"]
        for name, (seconds, candidates) in sorted(measured.rules.items(), key=lambda one: -one[1][0])
    ]
    seconds, candidates = (sum(column) for column in zip(*measured.rules.values(), strict=True))
    rules.append(["all", f"{seconds:.2f}", f"{candidates:,}"])
    plan = bench.before.plan
    told = f"source: folder; {plan.teams} teams, {plan.days} days, the largest with {plan.largest_share:.0%}"
    size = f"{plan.calls:,} calls"
    return "\n".join(
        [
            facts(told),
            "",
            *table(["ratio", size, "of the processors' time"], ratios),
            "",
            *table(["figure", size], raw),
            "",
            *table(["rule (who asks it)", "s", "scopes"], rules),
        ]
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts_check", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="made once, used again on later runs")
    parser.add_argument("--calls", type=int, default=20_000_000)
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--teams", type=int, default=300)
    parser.add_argument("--last-day", type=date.fromisoformat, default=LAST_DAY)
    given = parser.parse_args(arguments)
    plan = Plan(given.calls, given.days, given.last_day, teams=given.teams, organizations=ORGANIZATIONS)
    given.folder.mkdir(parents=True, exist_ok=True)
    bench = prepare(given.folder.resolve(), plan)
    print(report(bench, measure(bench)))


if __name__ == "__main__":
    main()
