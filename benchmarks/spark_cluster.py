"""A full build on Spark, beside one on DuckDB: `python -m benchmarks.spark_cluster --calls 1000000`.

A platform is generated and landed by DuckDB, and its schema raw written as the lake's Parquet. Then a real
standalone cluster of one master and two workers on loopback builds the models by dbt's target spark, DuckDB
builds them by its own, and every table of both is compared row by row. Needs Java and pyspark: `make spark`.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import duckdb

from benchmarks.markdown import facts, mega, table
from benchmarks.nights import NIGHT
from benchmarks.platform import LAST_DAY, Plan, days_of, write_platform
from benchmarks.watch import Watched, watch, watch_command
from tests.canonical import PUBLISHED_SCHEMAS
from tests.spark import create_raw, export_raw, spark_session

ROOT = Path(__file__).parents[1]
WORKERS = 2
CORES = 1
STARTED_WITHIN = 60  # seconds
BUILT = (*PUBLISHED_SCHEMAS, "alerts")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the master listens, the processes, and the folder whose spark-defaults.conf programs read."""

    master: str
    processes: tuple[subprocess.Popen[bytes], ...]
    configuration: Path


@contextmanager
def spark_cluster(folder: Path, *, worker_memory: str, driver_memory: str) -> Iterator[Cluster]:
    """A standalone cluster on loopback: a master, two workers of one core each; ended when left."""
    master_port, web_port = _free_port(), _free_port()
    master = f"spark://127.0.0.1:{master_port}"
    configuration = folder / "conf"
    configuration.mkdir(parents=True)
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": driver_memory,
        "spark.executor.memory": worker_memory,
        "spark.executor.cores": str(CORES),
        "spark.local.dir": str(folder / "local"),
        "spark.sql.shuffle.partitions": str(4 * WORKERS * CORES),
        "spark.driver.extraJavaOptions": f"-Dderby.stream.error.file={folder / 'derby.log'}",
    }
    (configuration / "spark-defaults.conf").write_text(
        "".join(f"{name} {value}\n" for name, value in settings.items()), encoding="utf-8"
    )
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [str(_spark_home() / "bin" / "spark-class"), *arguments],
                    env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "512m"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def stop(*_: object) -> None:
        # a worker's executors are its children
        for process in reversed(processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            process.wait(STARTED_WITHIN)

    place = ("--host", "127.0.0.1")
    deploy = "org.apache.spark.deploy"
    try:
        start(
            "master",
            *(f"{deploy}.master.Master", *place, "--port", str(master_port), "--webui-port", str(web_port)),
        )
        for number in range(WORKERS):
            start(
                f"worker-{number}",
                *(f"{deploy}.worker.Worker", *place, "--webui-port", "0", "--cores", str(CORES)),
                *("--memory", worker_memory, "--work-dir", str(folder / f"worker-{number}"), master),
            )
        _wait_for_workers(web_port, processes)
        yield Cluster(master, tuple(processes), configuration)
    finally:
        stop()


def _spark_home() -> Path:
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        sys.exit("Spark is not installed here: make spark")
    return Path(found.origin).parent


def _free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for_workers(web_port: int, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/json/", timeout=5) as answer:
                if json.load(answer)["aliveworkers"] == WORKERS:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"no cluster of {WORKERS} workers within {STARTED_WITHIN} s; see its logs")


# --- the two builds ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each step, and what differs between the two builds, in lines."""

    calls: int
    export_seconds: float
    spark: Watched
    duck: Watched
    compared_tables: int
    compared_rows: int
    differences: list[str]


def measure(calls: int, work: Path, *, worker_memory: str, driver_memory: str) -> Measured:
    plan = Plan(calls, days_of(calls), LAST_DAY)
    _say(f"{calls:,} calls: generating")
    platform = write_platform(plan, work / "platform")
    as_of = (platform.known_until + NIGHT).isoformat(sep=" ")
    data_dir = work / "data"
    night = ("--as-of", as_of.replace(" ", "T"))
    source = {"ALMANAC_SOURCE": str(platform.folder)}
    _say(f"{calls:,} calls: landing")
    watch(["land", *night], data_dir=data_dir, environment=source)
    _say(f"{calls:,} calls: building on DuckDB")
    duck = watch(["build", *night], data_dir=data_dir, environment=source)

    _say(f"{calls:,} calls: writing the lake")
    started = time.perf_counter()
    with duckdb.connect(str(data_dir / "landing.duckdb"), read_only=True) as landing:
        columns_of = export_raw(landing, work / "lake")
    export_seconds = time.perf_counter() - started
    places = {
        "ALMANAC_SPARK_WAREHOUSE": str(work / "warehouse"),
        "ALMANAC_SPARK_METASTORE": str(work / "metastore"),
    }
    with spark_cluster(work / "cluster", worker_memory=worker_memory, driver_memory=driver_memory) as cluster:
        _say(f"{calls:,} calls: building on {cluster.master}")
        _create_raw(work, columns_of)
        dbt = [str(Path(sys.executable).with_name("dbt")), "build"]
        variables = {"as_of": as_of, "landing_database": ""}
        dbt += ["--exclude-resource-type", "test", "unit_test", "--vars", json.dumps(variables)]
        dbt += ["--project-dir", str(ROOT), "--profiles-dir", str(ROOT)]
        dbt += ["--target-path", str(work / "target"), "--log-path", str(work / "logs")]
        spark = watch_command(
            dbt,
            story=work / "dbt.log",
            environment={
                **places,
                "ALMANAC_TARGET": "spark",
                "ALMANAC_SPARK_MASTER": cluster.master,
                "SPARK_CONF_DIR": str(cluster.configuration),
                "SPARK_LOCAL_IP": "127.0.0.1",
            },
        )
    (side_file,) = data_dir.rglob("build/*/warehouse.duckdb")
    _say(f"{calls:,} calls: comparing")
    tables, rows, differences = compare(side_file, data_dir / "landing.duckdb", work / "warehouse")
    return Measured(calls, export_seconds, spark, duck, tables, rows, differences)


def _create_raw(work: Path, columns_of: dict[str, str]) -> None:
    """Schema raw: tables over the lake's files. By a process of its own: one at a time has Derby's files."""
    script = "import sys; from benchmarks.spark_cluster import create_lake; create_lake(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", script, str(work), json.dumps(columns_of)], cwd=ROOT, check=True)


def create_lake(work: str, columns_of: str) -> None:
    """What `_create_raw` runs."""
    folder = Path(work)
    metastore = f"jdbc:derby:;databaseName={folder / 'metastore'};create=true"
    settings = {
        "spark.master": "local[1]",
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": metastore,
    }
    with spark_session(folder, settings) as session:
        create_raw(session, folder / "lake", json.loads(columns_of))


# --- whether they say the same -----------------------------------------------------------------------------


def compare(side_file: Path, landing: Path, warehouse: Path) -> tuple[int, int, list[str]]:
    """Tables and rows that both builds have, and how they differ: rows that only one of them has."""
    tables = rows = 0
    differences: list[str] = []
    with duckdb.connect(str(side_file), read_only=True) as duck:
        # Spark wrote instants; the views of the alerts read the landing
        duck.execute(f"set TimeZone = 'UTC'; attach '{landing}' as landing (read_only)")
        listed = ", ".join(f"'{schema}'" for schema in BUILT)
        for schema, name in duck.execute(
            "select table_schema, table_name from information_schema.tables "
            f"where table_catalog = current_database() and table_schema in ({listed}) order by all"
        ).fetchall():
            folder = warehouse / f"{schema}.db" / name
            if not folder.is_dir():
                # a view on Spark as here, of tables that are compared
                continue
            columns = duck.execute(f"describe {schema}.{name}").fetchall()
            typed = ", ".join(f"cast({column} as {kind}) as {column}" for column, kind, *_ in columns)
            ours = f"select {', '.join(column for column, *_ in columns)} from {schema}.{name}"
            theirs = f"select {typed} from read_parquet('{folder}/*.parquet')"
            if not any(folder.glob("*.parquet")):
                theirs = f"{ours} limit 0"  # a table without rows has no file
            theirs = f"({theirs})"
            only_ours = _count(duck, f"{ours} except all {theirs}")
            only_theirs = _count(duck, f"{theirs} except all {ours}")
            tables, rows = tables + 1, rows + _count(duck, ours)
            if only_ours or only_theirs:
                differences.append(
                    f"{schema}.{name}: {only_ours:,} rows only on DuckDB, {only_theirs:,} only on Spark"
                )
    return tables, rows, differences


def _count(duck: duckdb.DuckDBPyConnection, query: str) -> int:
    (row,) = duck.execute(f"select count(*) from ({query})").fetchall()
    return int(row[0])


def report(measured: Measured, memory: str) -> str:
    """The result as Markdown."""
    rows = [
        ["build on Spark, s", f"{measured.spark.seconds:.1f}"],
        ["build on DuckDB, s", f"{measured.duck.seconds:.1f}"],
        ["Spark / DuckDB", f"{measured.spark.seconds / measured.duck.seconds:.2f}"],
        ["peak memory of DuckDB's build, MB", mega(max(measured.duck.peak_bytes.values()))],
        ["writing the lake from the landing, s", f"{measured.export_seconds:.1f}"],
        ["tables compared", f"{measured.compared_tables:,}"],
        ["rows compared", f"{measured.compared_rows:,}"],
        ["tables that differ", f"{len(measured.differences):,}"],
    ]
    cluster = f"Spark standalone, 1 master, {WORKERS} workers of {CORES} core and {memory} each, on loopback"
    header = ["figure", f"{measured.calls:,} calls"]
    return "\n".join([facts(cluster), "", *table(header, rows), *measured.differences])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark_cluster", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--worker-memory", default="4g", help="of each of the two workers [4g]")
    parser.add_argument("--driver-memory", default="3g", help="of dbt's own Spark [3g]")
    parser.add_argument("--work", type=Path, help="where to write [a temporary folder]")
    given = parser.parse_args(arguments)
    # as Ctrl-C does: the cluster ends with it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="almanac-spark-", dir=given.work) as folder:
        measured = measure(
            given.calls, Path(folder), worker_memory=given.worker_memory, driver_memory=given.driver_memory
        )
    print(report(measured, given.worker_memory))
    sys.exit(1 if measured.differences else 0)


if __name__ == "__main__":
    main()
