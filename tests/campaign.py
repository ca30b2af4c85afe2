"""Kill many nights, at every failpoint in turn and at random moments, and see whether anything is lost.

Each case starts from a published night, kills the next one one to three times in a row, and then lets it go
through, while a reader looks all the time. Prints one line per case, and what to give to --seed to see the
same again. Exits 1 when a reader saw anything but a whole night, or a recovery differed or left something.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psycopg

from tests.crash_harness import (
    Nights,
    Scene,
    kill,
    reader,
    require_nobody_at_work,
    require_recovery,
    run,
    start,
)
from tests.crash_targets import PASSINGS, DuckDbTarget, PostgresTarget, Target
from tests.postgres_server import PostgresServer

MOST_KILLS_IN_A_ROW = 3

ENGINES = (DuckDbTarget.name, PostgresTarget.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of all engines together [200]")
    parser.add_argument("--engine", choices=ENGINES, help="[both]")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    engines = [arguments.engine] if arguments.engine else ENGINES
    kills = -(-arguments.kills // len(engines))
    failures = 0
    for engine in engines:
        print(f"{engine}: seed {arguments.seed}, {kills} kills", flush=True)
        folder = Path(tempfile.mkdtemp(prefix="almanac-campaign-"))
        failed = _campaign(engine, folder, kills, random.Random(arguments.seed))
        if not failed:
            shutil.rmtree(folder)
        failures += failed
    return 1 if failures else 0


def _campaign(engine: str, folder: Path, kills: int, chance: random.Random) -> int:
    """Kill so many nights of one engine; how many cases failed."""
    (folder / "empty").mkdir()
    if engine == DuckDbTarget.name:
        return _kill_nights(DuckDbTarget(folder / "empty"), folder, kills, chance)
    server = PostgresServer().start()
    try:
        failed = _kill_nights(PostgresTarget.empty(folder / "empty", server), folder, kills, chance)
    except BaseException:
        server.stop()
        raise
    if failed:
        server.kill("fast")
        print(f"the server's data is kept in {server.data_dir}", flush=True)
    else:
        server.stop()
    return failed


def _kill_nights(empty: Target, folder: Path, kills: int, chance: random.Random) -> int:
    nights = Nights(folder, empty)
    begun_at = time.monotonic()
    for number in range(3):
        nights.scene(number)
    night_seconds = (time.monotonic() - begun_at) / 3
    print(f"three undisturbed nights of {night_seconds:.0f} s", flush=True)

    points, where = empty.failpoints(), Counter[str]()
    failures = cases = 0
    while where.total() - where["not reached"] < kills:
        point = points[cases % len(points)]
        cases += 1
        scene = nights.scene(empty.scene_of.get(point, 1))
        target = scene.before.copy_to(folder / f"case-{cases}")
        asked = [f"{point}:{chance.randint(1, PASSINGS.get(point, 1))}"]
        asked += ["at random"] * chance.randrange(MOST_KILLS_IN_A_ROW)
        try:
            done = disturb(scene, target, asked, chance, night_seconds)
        except (AssertionError, subprocess.TimeoutExpired, psycopg.Error) as error:
            failures += 1
            target.end_processes()
            print(f"{cases:4} FAILED {', '.join(asked)}: {error}; kept in {target.kept}", flush=True)
            where.update(asked)
            continue
        where.update(one.partition(":")[0] for one in done)
        print(f"{cases:4} ok     {', '.join(done)}", flush=True)
        target.remove()

    killed = where.total() - where["not reached"]
    print(f"\n{killed} kills in {cases} nights, {time.monotonic() - begun_at:.0f} s, {failures} failures")
    for name, count in sorted(where.items()):
        print(f"  {count:4}  {name}")
    return failures


def disturb(
    scene: Scene, target: Target, asked: list[str], chance: random.Random, night_seconds: float
) -> list[str]:
    """Kill the night as asked, then let it go through; where it was killed."""
    done = []
    with reader(target) as seen:
        for one in asked:
            if one == "at random":
                process = start(target, scene.night)
                after = chance.uniform(0.3, 1.1 * night_seconds)
                try:
                    process.communicate(timeout=after)
                    done.append("not reached")
                except subprocess.TimeoutExpired:
                    kill(process)
                    done.append(f"at random: {after:.1f} s")
            else:
                exit_code, said = run(target, scene.night, one)
                assert exit_code in (0, -signal.SIGKILL), said
                done.append(one if exit_code else "not reached")
            require_nobody_at_work(target)
        require_recovery(scene, target)
    assert seen <= {scene.old, scene.new}, "a reader saw what no undisturbed night publishes"
    assert scene.new in seen
    return done


if __name__ == "__main__":
    sys.exit(main())
