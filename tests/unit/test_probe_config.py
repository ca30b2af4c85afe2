"""The probes file and its mistakes; what findings come to; what errors of a database mean."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from flows.errors import UsageError
from flows.health import configured
from flows.probe_config import load_probes
from flows.probe_database import _failure
from flows.probe_results import Overall, ProbeResult, ProbeVerdict, overall
from flows.settings import Settings

GOOD = """\
interval_seconds: 60
components:
  - name: saas_api
    kind: saas_api
    url: http://localhost:8003/health
  - name: litellm_readiness
    kind: litellm_readiness
    url: https://llm.example.com/health/readiness
    required: false
    slow_ms: 500
    deadline_seconds: 2.5
    ca_file: /etc/ssl/own.pem
  - name: database
    kind: database
    database: source
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "probes.yml"
    path.write_text(text)
    return path


def test_a_good_file_says_what_is_probed(tmp_path: Path) -> None:
    probes = load_probes(written(tmp_path, GOOD))
    assert probes.interval_seconds == 60
    first, second, third = probes.components
    assert (first.required, first.slow_ms, first.deadline_seconds) == (True, 1000, 5.0)
    assert (second.required, second.deadline_seconds, str(second.ca_file)) == (False, 2.5, "/etc/ssl/own.pem")
    assert third.database == "source"


@pytest.mark.parametrize(
    ("component", "line", "problem"),
    [
        ("{name: a, url: 'ftp://x/'}", 2, "it must be a URL such as"),
        ("{name: a, url: 'http://x:99999/'}", 2, "ort"),
        ("{name: a, url: 'http://ann:secret@x/'}", 2, "must not hold a name or a password"),
        ("{name: A b, url: 'http://x/'}", 2, "pattern"),
        ("{name: a}", 2, "url: is missing"),
        ("{name: a, kind: database}", 2, "database: is missing: say source or warehouse"),
        ("{name: a, kind: database, database: source, url: 'http://x/'}", 2, "does not go with a database"),
        ("{name: a, url: 'http://x/', database: source}", 2, "goes with kind: database alone"),
        ("{name: a, kind: litellm_readiness, url: 'http://x/health'}", 2, "which is billed"),
        ("{name: a, kind: litellm_liveliness, url: 'http://x/llm//%68ealth/'}", 2, "which is billed"),
        ("{name: a, url: 'http://x/', deadline_seconds: 0}", 2, "greater than"),
        ("{name: a, url: 'http://x/', ca_file: own.pem}", 2, "whole path"),
        ("{name: a, url: 'http://x/', headers: b}", 2, "there is no such setting"),
        ("{name: a, url: 'http://x/'}\n- {name: a, url: 'http://y/'}", 3, "a is here 2 times"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, component: str, line: int, problem: str) -> None:
    with pytest.raises(UsageError) as wrong:
        load_probes(written(tmp_path, f"components:\n- {component}\n"))
    assert f"line {line}: components." in str(wrong.value)
    assert problem in str(wrong.value)
    assert "secret" not in str(wrong.value)


def test_without_a_file_nothing_is_probed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ALMANAC_PROBES"):
        configured(Settings(data_dir=tmp_path))


UP, DEGRADED, DOWN, UNKNOWN = ProbeVerdict


@pytest.mark.parametrize(
    ("required", "optional", "word"),
    [
        ([UP, UP], [UP], Overall.healthy),
        ([UP, UP], [], Overall.healthy),
        ([UP, UP], [DOWN], Overall.healthy),
        ([UP, UP], [UNKNOWN], Overall.healthy),
        ([UP, DOWN], [], Overall.degraded),
        ([UP, UNKNOWN], [], Overall.degraded),
        ([DEGRADED], [], Overall.degraded),
        ([DOWN, DOWN], [UP], Overall.unhealthy),
        ([DOWN, UNKNOWN], [UP], Overall.degraded),
        ([UNKNOWN, UNKNOWN], [UP], Overall.unknown),
        ([], [UP, UP], Overall.healthy),
        ([], [DOWN], Overall.unhealthy),
        ([], [], Overall.unknown),
    ],
)
def test_all_components_in_one_word(
    required: list[ProbeVerdict], optional: list[ProbeVerdict], word: Overall
) -> None:
    results = [ProbeResult("a", True, verdict, None) for verdict in required]
    results += [ProbeResult("b", False, verdict, None) for verdict in optional]
    assert overall(results) is word


@pytest.mark.parametrize(
    ("message", "verdict", "reason"),
    [
        ('FATAL:  password authentication failed for user "ann"', UNKNOWN, "correct the password"),
        ('FATAL:  role "ann" does not exist', UNKNOWN, "correct the user"),
        ('FATAL:  database "shop" does not exist', UNKNOWN, "no database of that name"),
        ("FATAL:  no pg_hba.conf entry for host", UNKNOWN, "correct the user"),
        ("FATAL:  the database system is starting up", DOWN, "starting up"),
        ("FATAL:  sorry, too many clients already", DOWN, "no connection left"),
        ('FATAL:  too many connections for database "shop"', DOWN, "no connection left"),
        ('FATAL:  too many connections for role "ann"', DOWN, "no connection left"),
        ('FATAL:  database "shop" is not currently accepting connections', DOWN, "starting up"),
        ('FATAL:  permission denied for database "shop"', UNKNOWN, "may not connect"),
        ("Temporary failure in name resolution", UNKNOWN, "this machine could not ask"),
        ("connection to server at x failed: Network is unreachable", UNKNOWN, "this machine could not ask"),
        ("Network is unreachable, then: Connection refused", DOWN, "refuses connections"),
        ("connection timeout expired", DOWN, "no connection in time"),
        ("could not translate host name", DOWN, "leads nowhere"),
        ("something that ann@10.0.0.9 never said before", DOWN, "no connection"),
    ],
)
def test_what_an_error_of_a_database_means(message: str, verdict: ProbeVerdict, reason: str) -> None:
    finding = _failure(psycopg.OperationalError(f"connection failed: {message}"))
    assert (finding.verdict, reason in str(finding.reason)) == (verdict, True)
    assert "ann" not in str(finding.reason)
