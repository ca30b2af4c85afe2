"""The settings: the only module that reads the environment and `.env`."""

import os
import re
import zoneinfo
from collections.abc import Collection
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.errors import UsageError

PREFIX = "ALMANAC_"
# Of variables that hold the secrets of channels of alerts; the alerts file says which.
SECRET_PREFIX = PREFIX + "ALERT_"

# Names in the time zone table that mean another place on another machine, or no place at all.
_NOT_A_PLACE = frozenset({"localtime", "Factory"})


class Settings(BaseSettings):
    """The effective settings of one run."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    # it may hold a password
    source: str | None = Field(default=None, repr=False)
    # how many days the platform keeps its calls; what it purges after that is kept here
    source_retention_days: int = Field(default=90, ge=1, le=36_500)
    # how many days back a platform database is compared every night; all it keeps, once a week
    lookback_days: int = Field(default=7, ge=0, le=365)
    # the access log of the reverse proxy: a file, or a pattern such as /var/log/nginx/access.log*
    access_log: str | None = None
    target: Literal["duckdb", "postgres"] = "duckdb"
    data_dir: Path = Path("data")
    # of the postgres target; it may hold a password
    warehouse_url: str | None = Field(default=None, repr=False)
    # a role of that database which may read what is published
    warehouse_readers: str | None = None
    reporting_timezone: str = "UTC"
    nightly_cron: str = "30 2 * * *"
    weekly_review_cron: str = "0 6 * * 1"
    monthly_review_cron: str = "0 6 1 * *"
    # of checks of the alerts between nights
    alert_cron: str = "*/15 * * * *"
    # who gets which review; without it nothing is sent
    recipients: Path | None = None
    # which alerts go where; without it, mails to the operators that the recipients file names
    alerts: Path | None = None
    # where the runbooks can be read: notices link it, followed by #rule; that of the alerts file overrules it
    runbook_url: str | None = None
    # the mail server; it may hold a password
    smtp_url: str | None = Field(default=None, repr=False)
    smtp_ca_file: Path | None = None
    # which components are probed, and how; without it none is
    probes: Path | None = None
    # is pinged after each good night and check; whoever knows it may ping it
    heartbeat_url: str | None = Field(default=None, repr=False)
    # signs the links by which people unsubscribe
    link_secret: str | None = Field(default=None, repr=False, min_length=32)
    # of one key of the API; more are answered with 429
    api_requests_per_minute: int = Field(default=600, ge=1, le=1_000_000)
    # megabytes that the engine may take for a build; without it a share of the machine's
    build_memory_mb: int | None = Field(default=None, ge=256, le=16_777_216)
    # a run that gives no sign of life for so long has lost its turn; it gives one every sixth of it
    lease_seconds: float = Field(default=120, ge=1, le=86_400)

    @field_validator("reporting_timezone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        # dbt pastes the name into SQL, so only a name out of the table itself may pass.
        if name in _NOT_A_PLACE or name not in zoneinfo.available_timezones():
            raise ValueError(f"{name!r} is not an IANA time zone such as UTC or Europe/Berlin")
        return name

    @field_validator("runbook_url")
    @classmethod
    def _is_a_runbook_link(cls, text: str | None) -> str | None:
        return None if text is None else runbook_link(text)

    @field_validator("warehouse_url")
    @classmethod
    def _is_a_postgresql_url(cls, url: str | None) -> str | None:
        # the value itself is not repeated: it may hold a password
        if url is not None and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("it must be a URL such as postgresql://user@host:5432/name")
        return url

    @field_validator("nightly_cron", "weekly_review_cron", "monthly_review_cron", "alert_cron")
    @classmethod
    def _is_a_cron_line(cls, line: str) -> str:
        if not is_cron(line):
            raise ValueError(
                f"{line!r} is not a cron line of five fields of numbers (minute, hour, day of the month, "
                "month, day of the week), such as 30 2 * * * for 02:30 UTC"
            )
        return line

    @field_validator("access_log")
    @classmethod
    def _is_an_absolute_pattern(cls, pattern: str | None) -> str | None:
        return None if pattern is None else str(Path(pattern).expanduser().absolute())

    @field_validator("recipients", "alerts", "smtp_ca_file", "probes")
    @classmethod
    def _is_an_absolute_file(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @field_validator("data_dir")
    @classmethod
    def _is_absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @property
    def landing_path(self) -> Path:
        return self.data_dir / "landing.duckdb"

    @property
    def warehouse_path(self) -> Path:
        return self.data_dir / "warehouse.duckdb"

    @property
    def reviews_dir(self) -> Path:
        return self.data_dir / "reviews"

    @property
    def dashboard_dir(self) -> Path:
        """Where each night writes its copy of the dashboard."""
        return self.data_dir / "dashboard"

    @property
    def outbox_dir(self) -> Path:
        """Where the file channel writes messages."""
        return self.data_dir / "outbox"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def ops_path(self) -> Path:
        """The ops store of the duckdb target; that of the postgres target lies in the warehouse."""
        return self.data_dir / "ops.db"

    @property
    def build_dir(self) -> Path:
        return self.data_dir / "build"

    @property
    def previous_path(self) -> Path:
        """The warehouse that was published before the present one: the next side file."""
        return self.build_dir / "previous.duckdb"


def runbook_link(text: str) -> str:
    """A link to which #rule can be added, as it is; ValueError for anything else."""
    parts = urlsplit(text)
    if (
        parts.scheme != "https"
        or not parts.hostname
        or parts.fragment
        or "@" in parts.netloc
        or not re.fullmatch(r"[A-Za-z0-9:/._~%?=&+-]{1,500}", text)
    ):
        raise ValueError("it must be a link such as https://wiki.example.com/alerts, without a #part")
    return text


# Of minute, hour, day of the month, month, day of the week (0 and 7 are Sunday).
_CRON_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_PART = re.compile(r"(\*|(?P<first>\d{1,2})(-(?P<last>\d{1,2}))?)(/(?P<every>\d{1,2}))?")


def is_cron(line: str) -> bool:
    """Is it a cron line of five fields of numbers, as every cron reads it."""
    fields = line.split(" ")
    return len(fields) == len(_CRON_LIMITS) and all(
        _is_cron_part(part, *limits)
        for field, limits in zip(fields, _CRON_LIMITS, strict=True)
        for part in field.split(",")
    )


def _is_cron_part(part: str, low: int, high: int) -> bool:
    match = _CRON_PART.fullmatch(part)
    if match is None or (match["every"] is not None and int(match["every"]) == 0):
        return False
    if match["first"] is None:
        return True
    first, last = int(match["first"]), int(match["last"] or match["first"])
    # "5/10" means one thing to one cron and another to the next
    return low <= first <= last <= high and (match["every"] is None or match["last"] is not None)


def hand_down(settings: Settings) -> None:
    """Let processes started from here read the same data folder, whatever option or file named it."""
    os.environ[PREFIX + "DATA_DIR"] = str(settings.data_dir)


def load_settings(data_dir: Path | None = None) -> Settings:
    """Read the settings once; `data_dir`, when given, wins over the environment."""
    try:
        return Settings() if data_dir is None else Settings(data_dir=data_dir)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    """One line per wrong setting; never the value as pydantic prints it, which may hold a password."""
    lines = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        name = PREFIX + "_".join(str(part) for part in detail["loc"]).upper()
        lines.append(f"{name}: {detail['msg'].removeprefix('Value error, ')}")
    return "A setting is wrong.\n  " + "\n  ".join(lines) + "\nCorrect it in the environment or in .env."


# Read by profiles.yml and by flows.failpoints, not by Settings.
_PROFILE_NAMES = frozenset(
    PREFIX + name
    for name in (
        "FAILPOINT",
        "BUILD_PATH",
        "LANDING_PATH",
        "WAREHOUSE_HOST",
        "WAREHOUSE_PORT",
        "WAREHOUSE_USER",
        "WAREHOUSE_NAME",
        "WAREHOUSE_SSLMODE",
        "WAREHOUSE_APPLICATION",
    )
)


def read_secret(name: str) -> str | None:
    """The secret of a channel: the variable of that name, from the environment or `.env`; None when unset.

    Raises ValueError for any other variable than one of SECRET_PREFIX.
    """
    if not name.startswith(SECRET_PREFIX):
        raise ValueError(f"{name[:80]!r} does not begin with {SECRET_PREFIX}")
    value = os.environ.get(name) or dotenv_values(".env").get(name)
    return value.strip() or None if value else None


def unknown_names(secrets: Collection[str] = ()) -> list[str]:
    """ALMANAC_* variables of the environment that nothing reads: most often a misspelling.

    `secrets`: the names of those that the alerts file names.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _PROFILE_NAMES | set(secrets)
    return sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )
