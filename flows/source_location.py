"""What ALMANAC_SOURCE and --source name: a folder, or the platform's PostgreSQL by its URL."""

from dataclasses import dataclass, field
from pathlib import Path

from flows.errors import UsageError

_SCHEMES = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """The address of the platform's database; it may hold a password, so it does not print."""

    url: str = field(repr=False)


SourceLocation = Path | PostgresUrl


def parse_source(text: str) -> SourceLocation:
    """A source as people write it; UsageError, which does not repeat the text, for anything else."""
    if text.lower().startswith(_SCHEMES):
        return PostgresUrl(text)
    if "://" in text or "password=" in text.lower():
        raise UsageError(
            "The source must be a folder of CSV or Parquet files, or a URL that begins with postgresql://. "
            "Correct --source or ALMANAC_SOURCE."
        )
    return Path(text).expanduser()
