"""The one family of expected failures; each class says what the command exits with.

A message is for a person: what was wrong, where, and what to do. It never holds a secret.
"""

from typing import ClassVar


class AlmanacError(RuntimeError):
    """Something expected went wrong: the command prints the message on stderr and exits 1."""

    exit_code: ClassVar[int] = 1


class UsageError(AlmanacError):
    """The call itself was wrong (an argument or a setting); nothing was run."""

    exit_code: ClassVar[int] = 2


class LandError(AlmanacError):
    """The source cannot be landed; what was landed before is untouched."""


class Busy(AlmanacError):
    """Another run holds the lock; this one did nothing. `holder_kind`: what that run does, if known."""

    exit_code: ClassVar[int] = 75

    def __init__(self, message: str, *, holder_kind: str | None = None) -> None:
        super().__init__(message)
        self.holder_kind = holder_kind


class Fenced(AlmanacError):
    """A newer run took over while this one stood still; this one may write nothing more."""
