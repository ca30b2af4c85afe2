"""The questions asked of our published warehouse, as `almanac query` and the API find it."""

from typing import Any

from benchmarks.peers import answers
from benchmarks.peers.order import Order
from flows.warehouse import open_published


def summary(order: Order) -> list[tuple[Any, ...]]:
    with open_published(order.out / "warehouse.duckdb") as connection:
        return answers.summary(connection, answers.in_database, order.team, order.month)


def latency(order: Order) -> list[tuple[Any, ...]]:
    with open_published(order.out / "warehouse.duckdb") as connection:
        return answers.latency(connection, answers.in_database, order.week)


def review(order: Order) -> list[tuple[Any, ...]]:
    """The numbers alone; `almanac review` also judges them, draws the page and prints it."""
    with open_published(order.out / "warehouse.duckdb") as connection:
        return answers.review(connection, answers.in_database, order.team, order.month)
