"""How much memory the engine may take, and where that is known from."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.machine import LEAST_MEMORY, engine_memory, usable_memory

GIB = 2**30


def test_a_container_with_less_than_its_machine_decides(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("104857600\n", encoding="ascii")
    assert usable_memory((limit,)) == 104_857_600


@pytest.mark.parametrize("text", ["max\n", "", "9223372036854771712\n"])
def test_no_limit_leaves_the_machines(text: str, tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(text, encoding="ascii")
    assert usable_memory((limit, tmp_path / "absent")) == usable_memory(()) > GIB // 2


@pytest.mark.parametrize(
    ("usable", "is_partial", "taken"),
    [(24 * GIB, False, 6 * GIB), (24 * GIB, True, 3 * GIB), (GIB, False, LEAST_MEMORY)],
)
def test_a_partial_build_takes_half_of_a_full_one(usable: int, is_partial: bool, taken: int) -> None:
    assert engine_memory(usable, is_partial=is_partial) == taken
