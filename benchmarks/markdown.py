"""What benchmarks print: a machine in a line, tables in Markdown."""

import os
import platform as machine
from datetime import UTC, datetime
from importlib.metadata import version

from tests.postgres_server import find_binaries


def mega(size: float) -> str:
    """Bytes as megabytes."""
    return f"{size / 1e6:,.0f}"


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a Markdown table whose columns but the first are numbers."""
    lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def facts(measured: str, more: tuple[str, ...] = ()) -> str:
    """The day, the machine, the versions (of `more` packages as well) and what was measured, as one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("duckdb", "dbt-core", "dbt-duckdb", *more)
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB, {machine.machine()}, "
        f"{machine.system()} {machine.release()}, Python {machine.python_version()}, {versions}, "
        f"{find_binaries()}; {measured}; "
        f"load before the start {os.getloadavg()[0]:.1f}."
    )
