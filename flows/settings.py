"""The settings: the only module that reads the environment and `.env`."""

import os
import zoneinfo
from pathlib import Path
from typing import Literal

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from flows.errors import UsageError

PREFIX = "ALMANAC_"

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

    source: str | None = None
    target: Literal["duckdb", "postgres"] = "duckdb"
    data_dir: Path = Path("data")
    reporting_timezone: str = "UTC"

    @field_validator("reporting_timezone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        # dbt pastes the name into SQL, so only a name out of the table itself may pass.
        if name in _NOT_A_PLACE or name not in zoneinfo.available_timezones():
            raise ValueError(f"{name!r} is not an IANA time zone such as UTC or Europe/Berlin")
        return name

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
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def build_dir(self) -> Path:
        return self.data_dir / "build"

    @property
    def previous_path(self) -> Path:
        """The warehouse that was published before the present one: the next side file."""
        return self.build_dir / "previous.duckdb"


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


# Read by profiles.yml, not by Settings.
_PROFILE_NAMES = frozenset(
    PREFIX + name
    for name in (
        "BUILD_PATH",
        "LANDING_PATH",
        "WAREHOUSE_HOST",
        "WAREHOUSE_PORT",
        "WAREHOUSE_USER",
        "WAREHOUSE_NAME",
    )
)


def unknown_names() -> list[str]:
    """ALMANAC_* variables of the environment that no setting reads: most often a misspelling."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _PROFILE_NAMES
    return sorted(
        name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )
