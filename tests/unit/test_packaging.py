"""The lock: complete, hashed, and free of any index's or machine's address."""

import re
import tomllib
from pathlib import Path

import pytest

from flows.libraries import missing_packages

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


def test_every_package_is_shipped() -> None:
    folders = {
        path.parent for name in ("api", "flows", "reports") for path in (ROOT / name).rglob("__init__.py")
    }
    packages = {str(folder.relative_to(ROOT)).replace("/", ".") for folder in folders}
    assert packages == set(PYPROJECT["tool"]["setuptools"]["packages"])


def test_only_tests_ask_for_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "chromium" not in missing_packages()
    assert "chromium" in missing_packages(for_tests=True)
