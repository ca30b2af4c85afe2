"""Our nights on a generated platform: each `almanac nightly` a process of its own, watched from outside."""

import shutil
import sys
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks import model_sql
from benchmarks.outputs import tables
from benchmarks.platform import Platform, quoted
from benchmarks.watch import Watched, watch, watch_command

# A night runs this long after the day ended.
NIGHT = timedelta(hours=2)

FIRST = "first night"
# Of the same data: it copies the published file once, later nights go on from the file before the last.
SECOND = "second night"
ONE_DAY = "night with one new day"
NEXT_DAY = "the night after it"
# Many days at once, in both files, and then one day when a month has most of its days.
MADE_UP = "a night that makes up twelve days"
OTHER_FILE = "the same in the other file"
LATE = "night with one new day, late in its month"
EMPTY = "empty night"
REFRESH = "full refresh"
MODEL_SQL = "all models' SQL by hand"


@dataclass(slots=True)
class Nights:
    """The nights of one data folder, by name."""

    data_dir: Path
    watched: dict[str, Watched] = field(default_factory=dict)

    def run(
        self, name: str, platform: Platform, location: str, *options: str, later: timedelta = NIGHT
    ) -> None:
        """One night on what lies at `location`; RuntimeError with the end of its story when it fails."""
        self.watched[name] = watch(
            ["nightly", "--as-of", (platform.known_until + later).isoformat(), *options],
            data_dir=self.data_dir,
            environment={"ALMANAC_SOURCE": location},
        )

    def export(self, folder: Path) -> None:
        """Keep the tables that peers are compared with: the next night replaces them."""
        folder.mkdir(parents=True)
        with closing(duckdb.connect(str(self.data_dir / "warehouse.duckdb"), read_only=True)) as connection:
            for table, _, _ in tables():
                connection.execute(
                    f"copy (from marts.{table}) to '{quoted(folder / table)}.parquet' (format parquet)"
                )

    def model_sql(self, as_of: datetime, work: Path) -> None:
        """Run all models' SQL as one script on what the last night landed."""
        work.mkdir(parents=True)
        path = work / "models.sql"
        model_sql.script(path, as_of=as_of, work=work / "target")
        arguments = [path, self.data_dir / "landing.duckdb", work / "warehouse.duckdb"]
        command = [sys.executable, "-m", "benchmarks.model_sql", *map(str, arguments)]
        self.watched[MODEL_SQL] = watch_command(command, story=work / "models.log")
        shutil.rmtree(work)

    def review(self, team: str, month: str) -> Watched:
        """One team's monthly review: numbers, verdicts, page, PDF and tables."""
        return watch(
            ["review", "monthly", month, "--scope", f"team:{team}"],
            data_dir=self.data_dir,
            environment={},
        )
