"""The file of the ops store: opening it once more takes no lock from who is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.errors import AlmanacError
from flows.ops_store import open_ops_store
from flows.settings import Settings

# What SQLite's readers lock of a file, and who would have it alone asks for: its bytes and their number.
SHARED_FIRST, SHARED_SIZE = 0x40000002, 510
LOCK_ALONE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, int(sys.argv[3]), int(sys.argv[2]))
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def test_opening_the_store_once_more_takes_no_lock_from_who_is_in_it(settings: Settings) -> None:
    def may_be_locked_alone() -> bool:
        command = [sys.executable, "-c", LOCK_ALONE, str(settings.ops_path), str(SHARED_FIRST)]
        return not subprocess.run([*command, str(SHARED_SIZE)], capture_output=True, check=False).returncode

    store = open_ops_store(settings)
    with store.transaction():
        assert not may_be_locked_alone()
        open_ops_store(settings)
        assert not may_be_locked_alone()
    assert may_be_locked_alone()


def test_what_cannot_be_written_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ops_path.mkdir(parents=True)
    with pytest.raises(AlmanacError, match="cannot be written: Permission denied"):
        open_ops_store(settings)
    settings.ops_path.rmdir()
    open_ops_store(settings)
    # as for a user who may not: root may
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(AlmanacError, match="cannot be written: Permission denied"):
        open_ops_store(settings)
