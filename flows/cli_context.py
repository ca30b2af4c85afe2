"""What every command has: the options before its name, the settings, the clock, the lock."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.progress import Progress
    from flows.run_ledger import ClaimedRun
    from flows.settings import Settings

AsOf = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="The moment to work as of, in UTC: 2026-11-23 or 2026-11-23T02:00:00."),
]


@dataclass
class Context:
    """The options before the command's name."""

    data_dir: Path | None = None
    quiet: bool = False


context = Context()


def settings_now() -> Settings:
    """The effective settings."""
    from flows.settings import load_settings

    return load_settings(context.data_dir)


def progress_now() -> Progress:
    """Where the command shows how far it is."""
    from flows.progress import ConsoleProgress, SilentProgress

    return SilentProgress() if context.quiet else ConsoleProgress()


def moment_of(as_of: str | None) -> datetime:
    """The one place of the program that looks at the clock."""
    from flows.periods import parse_as_of

    if as_of is None:
        return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    return parse_as_of(as_of)


def user_name() -> str:
    """Who gives the command, when they do not say."""
    from flows.errors import UsageError

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise UsageError("Say who you are: --by NAME.") from None


@contextmanager
def writing(settings: Settings, kind: str, as_of: datetime | None = None) -> Iterator[ClaimedRun]:
    """Be the data folder's only writer."""
    from flows.locking import only_writer

    with only_writer(settings, kind=kind, as_of=as_of) as run:
        yield run
