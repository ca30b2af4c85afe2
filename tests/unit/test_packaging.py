"""The lock: complete, hashed, and free of any index's or machine's address."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_direct_dependency_is_locked() -> None:
    wanted = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["dev"]]
    names = {re.split(r"[\[<>=!~ ]", requirement, maxsplit=1)[0].lower() for requirement in wanted}
    assert names <= set(re.findall(r"^([a-z0-9-]+)==", LOCK, flags=re.MULTILINE))


def test_every_locked_package_has_a_hash_and_a_pin() -> None:
    requirements = [line for line in LOCK.splitlines() if line and line[0] not in " #"]
    assert [line for line in requirements if not re.match(r"[a-z0-9-]+==\S+ (; .+ )?\\$", line)] == []
    assert LOCK.count("\n    --hash=sha256:") >= len(requirements)


def test_the_lock_names_no_address() -> None:
    assert re.findall(r"https?://|file:|--(?:extra-)?index-url|--find-links|/\w+/", LOCK) == []
