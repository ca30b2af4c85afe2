"""What a peer is asked to do, and what it may use."""

import argparse
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Order:
    """One platform and what is asked of it.

    `out` is the peer's own folder, kept from its build to its night; `url` a PostgreSQL that holds the same
    platform. `since` is the first day on which something may have changed since the build.
    """

    source: Path
    out: Path
    url: str
    known_until: datetime
    since: date
    team: str
    month: date
    week: date
    # Seconds after which a loop may stop and tell how far it came.
    bound: float
    # For an engine that can keep to one, as DuckDB writes it.
    memory_limit: str

    def arguments(self) -> list[str]:
        """The command line that `parsed` reads."""
        names = (
            "source",
            "out",
            "url",
            "known_until",
            "since",
            "team",
            "month",
            "week",
            "bound",
            "memory_limit",
        )
        return [f"--{name.replace('_', '-')}={getattr(self, name)}" for name in names]


def parser() -> argparse.ArgumentParser:
    """A parser of an order's arguments."""
    made = argparse.ArgumentParser()
    made.add_argument("--source", type=Path, required=True)
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--url", default="")
    made.add_argument("--known-until", type=datetime.fromisoformat, required=True)
    made.add_argument("--since", type=date.fromisoformat, required=True)
    made.add_argument("--team", required=True)
    made.add_argument("--month", type=date.fromisoformat, required=True)
    made.add_argument("--week", type=date.fromisoformat, required=True)
    made.add_argument("--bound", type=float, default=600.0)
    made.add_argument("--memory-limit", default="4GiB")
    return made


def parsed(given: argparse.Namespace) -> Order:
    """The order of parsed arguments."""
    return Order(
        given.source,
        given.out,
        given.url,
        given.known_until,
        given.since,
        given.team,
        given.month,
        given.week,
        given.bound,
        given.memory_limit,
    )
