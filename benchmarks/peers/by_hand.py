"""The same SQL by hand in DuckDB: the floor of the usage numbers."""

from contextlib import closing
from pathlib import Path
from string import Template
from typing import Any

import duckdb

from benchmarks.peers import answers
from benchmarks.peers.order import Order

HERE = Path(__file__).parent
FILE = "by_hand.duckdb"


def build(order: Order) -> None:
    """Everything, from the Parquet files into a new file."""
    order.out.mkdir(parents=True)
    _run(order, "by_hand.sql")


def night(order: Order) -> None:
    """The days since the first that may have changed, in the file that is there."""
    _run(order, "by_hand_new_day.sql")


def summary(order: Order) -> list[tuple[Any, ...]]:
    with _opened(order) as connection:
        return answers.summary(connection, answers.in_database, order.team, order.month)


def latency(order: Order) -> list[tuple[Any, ...]]:
    with _opened(order) as connection:
        return answers.latency(connection, answers.in_database, order.week)


def review(order: Order) -> list[tuple[Any, ...]]:
    with _opened(order) as connection:
        return answers.review(connection, answers.in_database, order.team, order.month)


def _opened(order: Order) -> "closing[duckdb.DuckDBPyConnection]":
    return closing(duckdb.connect(str(order.out / FILE), read_only=True))


def _run(order: Order, script: str) -> None:
    given = {"source": str(order.source).replace("'", "''"), "since": str(order.since)}
    with closing(duckdb.connect(str(order.out / FILE))) as connection:
        connection.execute(f"set memory_limit = '{order.memory_limit}'")
        for name in ("by_hand_rows.sql", script):
            text = HERE.joinpath(name).read_text(encoding="utf-8")
            connection.execute(Template(text).substitute(given))
