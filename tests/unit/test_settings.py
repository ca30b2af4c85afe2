"""Settings: read from the environment and .env, typed, and never printed with a secret."""

from pathlib import Path

import pytest

from flows.doctor import effective_settings, examine, masked
from flows.errors import UsageError
from flows.settings import Settings, load_settings, unknown_names


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SOURCE", "TARGET", "DATA_DIR", "REPORTING_TIMEZONE"):
        monkeypatch.delenv(f"ALMANAC_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_without_any_setting_everything_lies_in_data(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.data_dir == tmp_path / "data"
    assert settings.warehouse_path == tmp_path / "data" / "warehouse.duckdb"
    assert settings.landing_path == tmp_path / "data" / "landing.duckdb"
    assert (settings.source, settings.target, settings.reporting_timezone) == (None, "duckdb", "UTC")


def test_the_option_wins_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("ALMANAC_DATA_DIR=from-file\nALMANAC_SOURCE=exports\nOTHER=1\n")
    assert load_settings().data_dir == tmp_path / "from-file"
    monkeypatch.setenv("ALMANAC_DATA_DIR", "from-environment")
    assert load_settings().data_dir == tmp_path / "from-environment"
    assert load_settings(Path("from-option")).data_dir == tmp_path / "from-option"
    assert load_settings().source == "exports"


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMANAC_REPORTING_TIMEZONE", "")
    assert load_settings().reporting_timezone == "UTC"


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Kolkata", "America/New_York", "UTC"])
def test_a_time_zone_of_the_table_is_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ALMANAC_REPORTING_TIMEZONE", name)
    assert load_settings().reporting_timezone == name


@pytest.mark.parametrize(
    "name", ["Mars/Phobos", "../etc/passwd", "localtime", "europe", "UTC'; drop table x; --", "+01:00"]
)
def test_any_other_time_zone_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("ALMANAC_REPORTING_TIMEZONE", name)
    with pytest.raises(UsageError, match=r"ALMANAC_REPORTING_TIMEZONE.*IANA") as refused:
        load_settings()
    assert refused.value.exit_code == 2


def test_an_unknown_target_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMANAC_TARGET", "oracle")
    with pytest.raises(UsageError, match=r"ALMANAC_TARGET.*duckdb.*postgres"):
        load_settings()


def test_a_misspelt_variable_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMANAC_REPORTNG_TIMEZONE", "UTC")
    monkeypatch.setenv("ALMANAC_DATA_DIR", "data")
    assert unknown_names() == ["ALMANAC_REPORTNG_TIMEZONE"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://reader:s3cret@db.example:5432/saas", "postgresql://reader:***@db.example:5432/saas"),
        ("postgresql://reader@db/saas?password=s3cret", "postgresql://reader@db/saas?***"),
        ("postgresql://:s3cret@db/saas", "postgresql://:***@db/saas"),
        ("postgresql://reader:s3cret@db:port/saas", "***"),
        ("exports/2026", "exports/2026"),
    ],
)
def test_secrets_of_a_url_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_effective_settings_name_every_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMANAC_SOURCE", "postgresql://reader:s3cret@db/saas")
    shown = effective_settings(load_settings())
    assert set(shown) == {f"ALMANAC_{name.upper()}" for name in Settings.model_fields}
    assert "s3cret" not in str(shown)


@pytest.mark.parametrize("line", ["30 2 * * *", "0,30 1-5/2 1 */3 0-7", "5 4 31 12 7"])
def test_a_cron_line_is_taken(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setenv("ALMANAC_NIGHTLY_CRON", line)
    assert load_settings().nightly_cron == line


@pytest.mark.parametrize(
    "line",
    [
        *("60 2 * * *", "30 24 * * *", "1 1 0 1 1", "1 1 1 13 1", "1 1 1 1 8", "daily", "30 2 * *"),
        *("30  2 * * *", "*/0 * * * *", "5/10 * * * *", "5-1 * * * *", "30 2 * * MON", "1, 2 * * *"),
    ],
)
def test_any_other_cron_line_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setenv("ALMANAC_NIGHTLY_CRON", line)
    with pytest.raises(UsageError, match=r"ALMANAC_NIGHTLY_CRON.*30 2 \* \* \*"):
        load_settings()


def test_secrets_of_mail_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMANAC_SMTP_URL", "smtp://almanac:hunter22@mail.example.com")
    monkeypatch.setenv("ALMANAC_LINK_SECRET", "0123456789" * 4)
    settings = load_settings()
    shown = effective_settings(settings)
    assert shown["ALMANAC_SMTP_URL"] == "smtp://almanac:***@mail.example.com"
    assert shown["ALMANAC_LINK_SECRET"] == "***"
    assert not any(secret in f"{shown}{settings!r}{settings}" for secret in ("hunter22", "0123456789"))
    monkeypatch.setenv("ALMANAC_LINK_SECRET", "short0123")
    with pytest.raises(UsageError, match=r"ALMANAC_LINK_SECRET.*32") as refused:
        load_settings()
    assert "short0123" not in str(refused.value)


def test_the_runbooks_are_where_a_link_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().runbook_url is None
    monkeypatch.setenv("ALMANAC_RUNBOOK_URL", "https://wiki.example.com/alerts")
    assert load_settings().runbook_url == "https://wiki.example.com/alerts"
    for wrong in (
        "http://wiki.example.com/alerts",
        "docs/alerts.md",
        "https://wiki/a#b",
        "https://w/|<!here>",
    ):
        monkeypatch.setenv("ALMANAC_RUNBOOK_URL", wrong)
        with pytest.raises(UsageError, match="ALMANAC_RUNBOOK_URL: it must be a link such as"):
            load_settings()


def test_the_doctor_looks_at_recipients_and_mail_server(tmp_path: Path) -> None:
    file = tmp_path / "recipients.yml"
    file.write_text("sender: {from: a@b.c, bounces: a@b.c, list_domain: b.c}\nchannel: mail\n")

    def findings(**settings: object) -> dict[str, str]:
        wanted = load_settings(tmp_path).model_copy(update={"recipients": file, **settings})
        return {check.name: check.detail for check in examine(wanted) if not check.is_ok}

    assert "ALMANAC_SMTP_URL is not set" in findings()["recipients"]
    assert "ALMANAC_SMTP_URL is not a URL" in findings(smtp_url="mail.example.com")["mail server"]
    good = {"smtp_url": "smtps://mail.example.com"}
    assert {"recipients", "mail server"} & findings(**good).keys() == set()
    assert "ALMANAC_SMTP_CA_FILE" in findings(**good, smtp_ca_file=tmp_path / "none.pem")["mail server"]
    file.write_text("sender: {}")
    assert "line 1: sender.from: is missing" in findings(**good)["recipients"]


def test_the_access_log_is_a_file_or_a_pattern_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALMANAC_ACCESS_LOG", "logs/access.log*")
    assert load_settings().access_log == f"{tmp_path}/logs/access.log*"
    monkeypatch.setenv("ALMANAC_ACCESS_LOG", "")
    assert load_settings().access_log is None
