"""What was issued is kept as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from flows.archive import (
    Edition,
    documents_of,
    find_editions,
    keep_document,
    keep_edition,
    newest_edition,
    newest_of_each,
    read_document,
)
from flows.errors import AlmanacError
from flows.ops_store import OpsStore, deliveries, open_ops_store
from flows.settings import Settings

NOW = datetime(2026, 11, 23, 2, 30)
FIRST = Edition("weekly", "team:a", "2026-W47", 1, NOW, NOW, "0" * 64, None, True)
PAGE = ("review.html", "en-GB", "text/html", b"<p>\xc3\xa9</p>" * 1000)


@pytest.fixture
def store(tmp_path: Path) -> OpsStore:
    return open_ops_store(Settings(data_dir=tmp_path))


def test_a_document_comes_back_byte_for_byte_and_is_stored_once(store: OpsStore) -> None:
    with store.transaction() as connection:
        keep_edition(connection, FIRST, [PAGE, ("review.pdf", "en-GB", "application/pdf", b"%PDF")])
        keep_edition(connection, replace(FIRST, scope="team:b"), [PAGE])
    with store.transaction() as connection:
        kept = {document.name: document for document in documents_of(connection, FIRST)}
        assert set(kept) == {"review.html", "review.pdf"}
        assert read_document(connection, kept["review.html"].sha256) == PAGE[3]
        assert connection.scalar(select(func.count()).select_from(deliveries.documents)) == 2


def test_bytes_that_are_kept_already_are_not_kept_again(store: OpsStore) -> None:
    with store.transaction() as connection:
        first = keep_document(connection, "text/html", b"page")
        assert keep_document(connection, "text/html", b"page") == first
        assert read_document(connection, first) == b"page"
        assert connection.scalar(select(func.count()).select_from(deliveries.documents)) == 1


def test_editions_are_found_by_what_they_are_of(store: OpsStore) -> None:
    second = replace(FIRST, edition=2, reason="late rows", is_material=False)
    with store.transaction() as connection:
        for edition in (FIRST, second, replace(FIRST, kind="monthly", period="2026-10")):
            keep_edition(connection, edition, [])
        assert newest_edition(connection, "weekly", "team:a", "2026-W47") == second
        assert newest_edition(connection, "weekly", "team:b", "2026-W47") is None
        assert [found.edition for found in find_editions(connection, kind="weekly")] == [1, 2]
        assert len(newest_of_each(connection)) == 2


def test_an_edition_is_issued_once_and_with_all_or_nothing(store: OpsStore) -> None:
    with store.transaction() as connection:
        keep_edition(connection, FIRST, [PAGE])

    def issue_both() -> None:
        with store.transaction() as connection:
            keep_edition(connection, replace(FIRST, scope="team:b"), [PAGE])
            keep_edition(connection, FIRST, [PAGE])

    with pytest.raises(AlmanacError, match="UNIQUE"):
        issue_both()
    with store.transaction() as connection:
        assert newest_edition(connection, "weekly", "team:b", "2026-W47") is None


def test_what_is_gone_or_damaged_is_told(store: OpsStore) -> None:
    with store.transaction() as connection:
        keep_edition(connection, FIRST, [PAGE])
        (kept,) = documents_of(connection, FIRST)
        connection.execute(update(deliveries.documents).values(content=b"other"))
        with pytest.raises(AlmanacError, match="damaged"):
            read_document(connection, kept.sha256)
        with pytest.raises(AlmanacError, match="no document"):
            read_document(connection, "f" * 64)
