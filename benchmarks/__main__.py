"""What a night costs, side by side with its peers: `make benchmark` or `python -m benchmarks`.

For each size a platform is generated, two days pass on it, and our nights and every peer are measured on it
(`benchmarks.side_by_side`). Everything is written below a work folder that is removed at the end.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks import recorded
from benchmarks.peers.roster import PEERS
from benchmarks.report import report
from benchmarks.side_by_side import Limits, Result, Size, measure


def main(arguments: Sequence[str] | None = None) -> None:
    names = [peer.name for peer in PEERS]
    limits = Limits()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes",
        default="1,5",
        help="millions of calls, with their days and the source of our nights if they are to be others: "
        "1,20:postgresql,20/17",
    )
    parser.add_argument("--peers", default=",".join(names), help=f"some of {','.join(names)}, or none")
    parser.add_argument("--spark", action="store_true", help="all models on Apache Spark as well")
    parser.add_argument(
        "--spark-up-to", type=float, default=limits.spark_calls / 1e6, help="millions of calls"
    )
    parser.add_argument("--minutes", type=float, default=limits.seconds / 60, help="for one action of a peer")
    parser.add_argument("--memory", type=float, default=limits.bytes / 2**30, help="GiB for a peer")
    parser.add_argument(
        "--postgres-up-to",
        type=float,
        default=limits.postgres_calls / 1e6,
        help="millions of calls; 20 of them take about 15 GB there",
    )
    parser.add_argument("--record", action="store_true", help="write benchmarks/results/<day>.md and .json")
    parser.add_argument(
        "--keep", action="store_true", help="and keep there what the last recorded run has of other sizes"
    )
    parser.add_argument("--work", type=Path, help="where to write [a temporary folder]")
    given = parser.parse_args(arguments)
    # ended from outside, it still ends what it started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes = [Size.parsed(text) for text in given.sizes.split(",")]
    wanted = frozenset(given.peers.split(",")) - {"none"}
    if unknown := wanted - set(names):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    limits = Limits(
        given.minutes * 60, given.memory * 2**30, given.postgres_up_to * 1e6, given.spark_up_to * 1e6
    )
    if given.spark and find_spec("pyspark") is None:
        parser.error('Spark is not on the path; make benchmark BENCHMARK="--spark" puts it there')
    kept = recorded.newest() if given.keep else []
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="almanac-benchmark-", dir=given.work) as folder:
        for number, size in enumerate(sizes):
            work = Path(folder) / str(number)
            work.mkdir()
            results.append(measure(size, work, limits, wanted=wanted, spark=given.spark))
            all_sizes = recorded.merged(kept, results)
            shutil.rmtree(work)
            # a later size that fails takes nothing with it
            print(report([results[-1]]), file=sys.stderr, flush=True)
            if given.record:
                recorded.write(all_sizes, report(all_sizes))
    print(report(all_sizes))


if __name__ == "__main__":
    main()
