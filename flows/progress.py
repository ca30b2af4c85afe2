"""How long work tells how far it is: on stderr, never on stdout, never in a result."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Called as work gets done: `n` further units, `detail` what is being worked on now."""

    def __call__(self, n: int = 1, detail: str = "") -> None: ...


class Progress(Protocol):
    """Where the stages of a run are shown."""

    def stage(self, name: str, total: int | None) -> AbstractContextManager[Advance]:
        """Show one stage of `total` units of work, or of unknown length when None."""
        ...


class SilentProgress:
    """Shows nothing: for tests and for callers that have their own display."""

    @contextmanager
    def stage(self, name: str, total: int | None) -> Iterator[Advance]:
        def advance(n: int = 1, detail: str = "") -> None:
            pass

        yield advance


class ConsoleProgress:
    """A bar on a terminal, plain lines in a log; both on stderr."""

    def stage(self, name: str, total: int | None) -> AbstractContextManager[Advance]:
        return _bar(name, total) if sys.stderr.isatty() else _lines(name, total, _say)


class LineProgress:
    """Plain lines to whoever takes them, such as a logger."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def stage(self, name: str, total: int | None) -> AbstractContextManager[Advance]:
        return _lines(name, total, self._say)


@contextmanager
def _bar(name: str, total: int | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(escape(name), total=total, detail="")

        def advance(n: int = 1, detail: str = "") -> None:
            bars.update(task, advance=n)
            if detail:
                bars.update(task, detail=escape(detail))

        yield advance
        bars.update(task, total=total or 1, completed=total or 1, detail="")


@contextmanager
def _lines(name: str, total: int | None, say: Callable[[str], None]) -> Iterator[Advance]:
    done = 0
    shown = ""

    def advance(n: int = 1, detail: str = "") -> None:
        nonlocal done, shown
        done += n
        # One line per new detail, not per call: a log is read, not watched.
        if detail and detail != shown:
            shown = detail
            share = f" ({min(100, 100 * done // total)} %)" if total else ""
            say(f"{name}: {detail}{share}")

    say(f"{name} ...")
    yield advance
    say(f"{name}: done")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
