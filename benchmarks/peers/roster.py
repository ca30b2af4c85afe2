"""The peers, what each can be asked, and what it does not do that a night of ours does."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from benchmarks.peers.duckdb_answers import FILE as DUCKDB_FILE
from benchmarks.peers.order import Order

BUILD, NIGHT = "build", "night"
SUMMARY, LATENCY, REVIEW = "summary", "latency", "review"
ACTIONS = (BUILD, NIGHT, SUMMARY, LATENCY, REVIEW)

NO_HISTORY = "no history of teams and prices, findings, audit, restatements, publication"


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to the numbers.

    Its module has a function for each action; one for an answer returns rows. `where` below its folder are
    the tables that are compared with ours, all of them or `only` these.
    """

    name: str
    title: str
    module: str
    actions: frozenset[str]
    lacks: str
    needs_server: bool = False
    # Its night does everything again.
    redoes: bool = False
    where: str | None = None
    only: frozenset[str] = frozenset()

    def function(self, action: str) -> Callable[..., Any]:
        """The function of an action; ValueError when the peer does not do it."""
        if action not in self.actions:
            raise ValueError(f"{self.name} has no {action}")
        return cast("Callable[..., Any]", getattr(self._imported(), action))

    def export(self, order: Order) -> None:
        """Leave what was built where it can be compared, if the peer keeps it elsewhere."""
        if export := getattr(self._imported(), "export", None):
            export(order)

    def _imported(self) -> ModuleType:
        return import_module(f"benchmarks.peers.{self.module}")


OURS = Peer("ours", "ours", "ours", frozenset({SUMMARY, LATENCY, REVIEW}), "")
PEERS = (
    Peer(
        "by_hand",
        "usage by hand in DuckDB",
        "by_hand",
        frozenset(ACTIONS),
        f"{NO_HISTORY}; its night trusts that nothing older than a week changed",
        where=DUCKDB_FILE,
    ),
    Peer(
        "naive_dbt",
        "naive dbt on DuckDB, every model a table",
        "naive_dbt",
        frozenset(ACTIONS),
        NO_HISTORY,
        redoes=True,
        where=DUCKDB_FILE,
    ),
    Peer(
        "polars",
        "polars, lazy and streaming",
        "polars_script",
        frozenset(ACTIONS),
        NO_HISTORY,
        redoes=True,
        where="tables",
    ),
    Peer(
        "pandas",
        "a pandas script",
        "pandas_script",
        frozenset(ACTIONS),
        NO_HISTORY,
        redoes=True,
        where="tables",
    ),
    Peer(
        "team_loop",
        "a loop over teams on PostgreSQL",
        "team_loop",
        frozenset({BUILD, NIGHT, SUMMARY}),
        f"{NO_HISTORY}; numbers of teams alone, none by model",
        needs_server=True,
        where="tables",
        only=frozenset({"team_usage_daily", "team_usage_weekly", "team_usage_monthly"}),
    ),
    Peer(
        "page",
        "the page's queries on PostgreSQL",
        "page_queries",
        frozenset({NIGHT, SUMMARY, LATENCY, REVIEW}),
        f"{NO_HISTORY}; keeps nothing: the last day to the last months, over all teams",
        needs_server=True,
    ),
)


def peer(name: str) -> Peer:
    """The peer of a name, or ours; KeyError when there is none."""
    return {one.name: one for one in (OURS, *PEERS)}[name]
