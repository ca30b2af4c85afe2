"""`almanac doctor`: is this machine set up, with which settings, and if not, what to do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flows.errors import AlmanacError
from flows.libraries import missing_packages
from flows.preflight import free_bytes, needed_bytes
from flows.security_sources import security_sources
from flows.settings import SECRET_PREFIX, Settings, unknown_names
from flows.source_files import find_files, layouts
from flows.source_location import PostgresUrl, parse_source
from flows.warehouse import open_warehouse, warehouse_name


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    is_ok: bool
    detail: str


def examine(settings: Settings) -> list[Check]:
    """Every check, each with what was found or what to do; none raises."""
    checks: dict[str, Callable[[Settings], str]] = {
        "python": _python,
        "pdf libraries": _libraries,
        "fonts": _fonts,
        "dbt": _dbt,
        "settings": _names,
        "time zone": _time_zone,
        "data folder": _data_folder,
        "disk": _disk,
        "source": _source,
        "security": _security,
        "warehouse": _warehouse,
        "probes": _probes,
        "recipients": _recipients,
        "mail server": _mail_server,
        "alert channels": _alert_channels,
    }
    results = []
    for name, check in checks.items():
        try:
            results.append(Check(name, True, check(settings)))
        except AlmanacError as wrong:
            results.append(Check(name, False, str(wrong)))
        except Exception as error:
            # A check that cannot run is a finding, not a crash of the doctor.
            results.append(Check(name, False, f"{type(error).__name__}: {error}"))
    return results


def _python(_: Settings) -> str:
    return f"{platform.python_version()} in {sys.prefix}"


def _libraries(_: Settings) -> str:
    if missing := missing_packages():
        raise AlmanacError(f"run: sudo apt-get install --no-install-recommends {' '.join(missing)}")
    return "Pango, HarfBuzz and Fontconfig load"


def _fonts(_: Settings) -> str:
    spec = importlib.util.find_spec("reports")
    if spec is None or spec.origin is None:
        raise AlmanacError("the package `reports` is not installed; run `make setup`")
    fonts = sorted((Path(spec.origin).parent / "fonts").glob("*.woff2"))
    if not fonts:
        raise AlmanacError("the bundled fonts are missing from reports/fonts; check the project out again")
    return f"{len(fonts)} bundled files"


def _dbt(settings: Settings) -> str:
    versions = []
    for name in ("dbt-core", f"dbt-{settings.target}"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            raise AlmanacError(f"{name} is not installed; run `make setup`") from None
    if importlib.util.find_spec("dbt") is None:
        raise AlmanacError("dbt cannot be imported; remove .venv and run `make setup`")
    return ", ".join(versions)


def _names(settings: Settings) -> str:
    from flows.alert_config import alert_config_of

    try:
        config = alert_config_of(settings)
        secrets = config.secrets if config else set()
    except AlmanacError:  # told by its own check
        secrets = {name for name in unknown_names() if name.startswith(SECRET_PREFIX)}
    if names := unknown_names(secrets):
        raise AlmanacError(f"no setting is called {', '.join(names)}; docs/operations.md lists them all")
    return "every ALMANAC_* variable is known"


def _time_zone(settings: Settings) -> str:
    import duckdb

    # Python's table was asked when the settings were read; the engine cuts the days with its own.
    known = duckdb.execute(
        "select count(*) from pg_timezone_names() where name = ?", [settings.reporting_timezone]
    ).fetchone()
    if not known or not known[0]:
        raise AlmanacError(
            f"DuckDB does not know {settings.reporting_timezone}; choose another name of the zone"
        )
    return f"days are cut in {settings.reporting_timezone}"


def _data_folder(settings: Settings) -> str:
    folder = _nearest_existing(settings.data_dir)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise AlmanacError(
            f"{folder} cannot be written ({error.strerror}); set ALMANAC_DATA_DIR to a folder of yours"
        ) from None
    return f"{settings.data_dir} is writable"


def _disk(settings: Settings) -> str:
    source = Path(settings.source) if settings.source and "://" not in settings.source else None
    free, needed = free_bytes(settings), needed_bytes(settings, source)
    if free < needed:
        raise AlmanacError(f"{_megabytes(free)} free, a night may need {_megabytes(needed)}; make room")
    return f"{_megabytes(free)} free"


def _source(settings: Settings) -> str:
    if settings.source is None:
        return "none set; give --source, or set ALMANAC_SOURCE, to land your own data"
    location = parse_source(settings.source)
    if isinstance(location, PostgresUrl):
        return _source_database(location)
    files = find_files(location)
    layouts([file for parts in files.values() for file in parts])
    return f"{settings.source} has every table and column"


def _source_database(location: PostgresUrl) -> str:
    from flows.source_postgres import open_postgres_source

    with open_postgres_source(location.url) as source:
        return f"{source.label} has every table and column, and lets us read them"


def _security(settings: Settings) -> str:
    """Never a fault: each source is optional."""
    sources = security_sources(settings.landing_path)
    return "; ".join(str(source) for source in sources) or "not known while the landing database is written"


def _warehouse(settings: Settings) -> str:
    if settings.target == "duckdb" and not settings.warehouse_path.exists():
        return "none published yet"
    with closing(open_warehouse(settings)) as reader:
        row = reader.execute(
            "select count(*) from information_schema.tables where table_schema = 'marts'"
        ).fetchone()
    return f"{warehouse_name(settings)} with {row[0] if row else 0} marts"


def _nearest_existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _probes(settings: Settings) -> str:
    from flows.probe_config import load_probes

    if settings.probes is None:
        return "none: nothing is probed (ALMANAC_PROBES)"
    probes = load_probes(settings.probes)
    names = ", ".join(component.name for component in probes.components)
    return f"{names}, every {probes.interval_seconds} seconds"


def _recipients(settings: Settings) -> str:
    from flows.recipients import load_recipients

    if settings.recipients is None:
        return "none: nothing is sent (ALMANAC_RECIPIENTS)"
    recipients = load_recipients(settings.recipients)
    if recipients.channel == "mail" and settings.smtp_url is None:
        raise AlmanacError(
            "The recipients file asks for mails, and ALMANAC_SMTP_URL is not set. Set it to the mail server."
        )
    if recipients.sender.unsubscribe_url and settings.link_secret is None:
        raise AlmanacError(
            "The recipients file has an unsubscribe_url, and ALMANAC_LINK_SECRET, which signs its links, is "
            "not set. Set it to 32 random characters or more."
        )
    people = {address for part in recipients.reviews for address in part.to}
    return f"{len(people)} people, channel {recipients.channel}"


def _mail_server(settings: Settings) -> str:
    from flows.mail_channel import parse_smtp_url, tls_context

    if settings.smtp_url is None:
        return "none"
    server = parse_smtp_url(settings.smtp_url)
    tls_context(settings.smtp_ca_file)
    return f"{server}, trusted by {settings.smtp_ca_file or 'the authorities of this system'}"


def _alert_channels(settings: Settings) -> str:
    from flows.alert_channels import open_channel, outbox_name
    from flows.alert_config import alert_config_of
    from flows.alert_delivery import require_sender
    from flows.apprise_channel import AppriseChannel
    from flows.review_issue import recipients_of

    config = alert_config_of(settings)
    own = [outbox_name(name, part) for name, part in config.channels.items()] if config else []
    wrong = _open_circuits(settings, ("mail", "file", *own))
    if config is None:
        if wrong:
            raise AlmanacError("; ".join(wrong))
        return "mails to the operators (ALMANAC_ALERTS names others)"
    require_sender(config, recipients_of(settings))
    for name, part in config.channels.items():
        if outbox_name(name, part) is None:
            continue
        try:
            channel = open_channel(name, part)
            if isinstance(channel, AppriseChannel):
                channel.check()
        except AlmanacError as error:
            wrong.append(f"channel {name}: {error}")
    if wrong:
        raise AlmanacError("; ".join(wrong))
    return ", ".join(f"{name} ({part.kind})" for name, part in config.channels.items())


def _open_circuits(settings: Settings, channels: Collection[str | None]) -> list[str]:
    """Those of the channels that failed so often that they are left alone for a while."""
    from flows.channel_circuits import open_circuits
    from flows.ops_store import open_ops_store

    if settings.target == "duckdb" and not settings.ops_path.exists():
        return []
    store = open_ops_store(settings)
    with store.transaction() as connection:
        now = store.now(connection)
        return [
            f"channel {circuit.channel}: {circuit.told(now)}"
            for circuit in open_circuits(connection)
            if circuit.channel in channels
        ]


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"


def effective_settings(settings: Settings) -> dict[str, str]:
    """Every setting as it is in force, secrets masked."""

    def shown(name: str, value: object) -> str:
        if value is None:
            return "(not set)"
        return "***" if name in ("link_secret", "heartbeat_url") else masked(str(value))

    return {f"ALMANAC_{name.upper()}": shown(name, value) for name, value in settings}


def masked(text: str) -> str:
    """A URL without its password and query; any other text as it is."""
    from urllib.parse import urlsplit

    if "://" not in text:
        return "***" if "password=" in text.lower() else text
    try:
        parts = urlsplit(text)
        secret = ":***" if parts.password is not None else ""
        user = f"{parts.username}{secret}@" if parts.username or secret else ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "***"
    return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}{'?***' if parts.query else ''}"
