"""The questions, asked of a peer that leaves its tables in a DuckDB file."""

from contextlib import closing
from typing import Any

import duckdb

from benchmarks.peers import answers
from benchmarks.peers.order import Order

FILE = "usage.duckdb"


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
