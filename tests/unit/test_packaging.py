"""The locks: complete, hashed, and free of any index's or machine's address."""

import re
import tomllib
from pathlib import Path

import pytest

from flows.libraries import missing_packages

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("requirements*.lock")}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_direct_dependency_is_locked() -> None:
    groups = PYPROJECT["dependency-groups"]
    for lock, wanted in (
        ("requirements.lock", [*PYPROJECT["project"]["dependencies"], *groups["dev"]]),
        ("requirements-spark.lock", groups["spark"]),
    ):
        names = {re.split(r"[\[<>=!~ ]", requirement, maxsplit=1)[0].lower() for requirement in wanted}
        assert names <= set(re.findall(r"^([a-z0-9-]+)==", LOCKS[lock], flags=re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_every_locked_package_has_a_hash_and_a_pin(lock: str) -> None:
    requirements = [line for line in lock.splitlines() if line and line[0] not in " #"]
    assert [line for line in requirements if not re.match(r"[a-z0-9-]+==\S+ (; .+ )?\\$", line)] == []
    assert lock.count("\n    --hash=sha256:") >= len(requirements)


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_the_lock_names_no_address(lock: str) -> None:
    assert re.findall(r"https?://|file:|--(?:extra-)?index-url|--find-links|/\w+/", lock) == []


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


def test_only_spark_asks_for_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "default-jre-headless" not in missing_packages(for_tests=True)
    assert "default-jre-headless" in missing_packages(for_spark=True)
