"""Rows in another order give the same reviews: no list is left open to the order in which rows came."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pandas

from flows.build import build
from flows.land import land_folder
from flows.progress import SilentProgress
from flows.settings import Settings
from tests.published import TAPE, TAPE_AS_OF, Published


def test_shuffled_rows_give_the_same_reviews(published: Published, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number, path in enumerate(sorted(TAPE.glob("*.csv.gz"))):
        rows = pandas.read_csv(path, dtype=str, keep_default_na=False).sample(frac=1, random_state=number)
        with gzip.open(source / path.name, "wt", encoding="utf-8", compresslevel=1) as file:
            rows.to_csv(file, index=False)
    settings = Settings(data_dir=tmp_path / "data", source=None, target="duckdb")
    settings.data_dir.mkdir()
    land_folder(source, settings.landing_path, as_of=TAPE_AS_OF, progress=SilentProgress())
    side_file = build(settings, as_of=TAPE_AS_OF, progress=SilentProgress())
    assert isinstance(side_file, Path)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{published.settings.warehouse_path}' as usual (read_only)")
        connection.execute(f"attach '{side_file}' as shuffled (read_only)")
        tables = connection.execute(
            "select table_name from duckdb_tables() where database_name = 'usual' "
            "and schema_name = 'reviews' and table_name like 'review%'"
        ).fetchall()
        assert len(tables) > 20
        differing = [
            table
            for (table,) in tables
            if connection.execute(
                f"select count(*) from (from usual.reviews.{table} except all from shuffled.reviews.{table}) "
                f"union all select count(*) from (from shuffled.reviews.{table} "
                f"except all from usual.reviews.{table})"
            ).fetchall()
            != [(0,), (0,)]
        ]
    assert differing == []
