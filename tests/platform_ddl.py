"""A platform's database for tests: both schema lineages, an old install, secrets planted, rows by COPY.

Written from the facts in `spec/source-system.md` sections 1.2 and 1.3.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

# In every column that must not be read, of every row. Nothing that we write may hold it.
PLANTED = "planted-secret-5f1c"

# Parents before children.
LOAD_ORDER = (
    "organizations",
    "team_credits",
    "model_aliases",
    "jobs",
    "llm_calls",
    "job_cost_summaries",
    "credit_transactions",
    "team_usage_summaries",
)

# What no role of ours may read, of the tables that we do read.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "jobs": ("job_metadata", "external_task_id", "model_groups_used"),
    "llm_calls": ("litellm_request_id", "purpose", "request_data", "response_data"),
    "job_cost_summaries": ("total_prompt_tokens", "total_completion_tokens"),
    "team_credits": ("virtual_key",),
    "organizations": ("metadata",),
    "model_aliases": ("id", "litellm_model_id", "description"),
    "team_usage_summaries": ("job_type_breakdown",),
}
FORBIDDEN_TABLES = ("provider_credentials", "admin_users", "admin_sessions", "admin_audit_log")


@dataclass(frozen=True)
class Lineage:
    """One way in which the platform's tables came to be."""

    name: str
    status_type: str
    statuses: tuple[str, ...]
    json: str
    array: str
    has_server_defaults: bool
    # False: an install from before costs per call, mark-ups, budget modes and organizations of jobs.
    has_later_columns: bool = True


_STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")

MIGRATED = Lineage("migrated", "job_status", _STATUSES, "jsonb", "text[]", has_server_defaults=True)
ORM = Lineage(
    "orm",
    "jobstatus",
    tuple(status.upper() for status in _STATUSES),
    "json",
    "varchar[]",
    has_server_defaults=False,
)
OLD = Lineage(
    "old",
    "jobstatus",
    tuple(status.upper() for status in _STATUSES),
    "json",
    "varchar[]",
    has_server_defaults=False,
    has_later_columns=False,
)
LINEAGES = (MIGRATED, ORM, OLD)


def ddl(lineage: Lineage) -> str:
    """The statements that make the lineage's tables in schema `public` of an empty database."""
    labels = ", ".join(f"'{status}'" for status in lineage.statuses)
    pieces = [
        f"create type {lineage.status_type} as enum ({labels});",
        _tables(lineage),
        _indexes(lineage),
        _plants(lineage),
    ]
    if lineage.has_server_defaults:
        pieces.append(_DEFAULTS)
    if not lineage.has_later_columns:
        pieces.append(_WITHOUT_LATER_COLUMNS)
    return "\n".join(pieces)


def create_platform(url: str, lineage: Lineage = ORM) -> None:
    """Make the lineage's tables in the empty database at `url`."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ddl(lineage).encode())


def _tables(lineage: Lineage) -> str:
    return f"""
create table organizations (
    organization_id varchar(255) primary key,
    name varchar(500) not null,
    status varchar(50),
    metadata {lineage.json},
    created_at timestamp not null,
    updated_at timestamp not null
);
create table team_credits (
    team_id varchar(255) primary key,
    organization_id varchar(255) references organizations,
    credits_allocated int,
    credits_used int,
    credits_remaining int generated always as (credits_allocated - credits_used) stored,
    credit_limit int,
    auto_refill boolean,
    refill_amount int,
    refill_period varchar(50),
    last_refill_at timestamp,
    created_at timestamp not null,
    updated_at timestamp not null,
    budget_mode varchar(50),
    credits_per_dollar numeric(10, 2),
    cost_markup_percentage numeric(5, 2),
    status varchar(20) not null,
    tokens_per_credit int,
    virtual_key varchar(500)
);
create table model_aliases (
    id uuid primary key default gen_random_uuid(),
    model_alias varchar(200) not null unique,
    display_name varchar(200),
    provider varchar(100) not null,
    actual_model varchar(200) not null,
    litellm_model_id varchar(200),
    description text,
    pricing_input numeric(10, 6),
    pricing_output numeric(10, 6),
    status varchar(50),
    created_at timestamp,
    updated_at timestamp
);
create table jobs (
    job_id uuid primary key,
    team_id varchar(255) not null,
    user_id varchar(255),
    job_type varchar(100) not null,
    status {lineage.status_type} not null,
    created_at timestamp not null,
    started_at timestamp,
    completed_at timestamp,
    job_metadata {lineage.json},
    error_message varchar(1000),
    organization_id varchar(255) references organizations,
    external_task_id varchar(255),
    credit_applied boolean,
    model_groups_used {lineage.array}
);
create table llm_calls (
    call_id uuid primary key,
    job_id uuid not null references jobs on delete cascade,
    litellm_request_id varchar(255) unique,
    model_used varchar(100),
    prompt_tokens int,
    completion_tokens int,
    total_tokens int,
    cost_usd numeric(10, 6),
    latency_ms int,
    created_at timestamp not null,
    purpose varchar(200),
    request_data {lineage.json},
    response_data {lineage.json},
    error varchar(1000),
    model_group_used varchar(100),
    resolved_model varchar(200),
    input_cost_usd numeric(10, 8),
    output_cost_usd numeric(10, 8),
    provider_cost_usd numeric(10, 8),
    client_cost_usd numeric(10, 8),
    model_pricing_input numeric(10, 6),
    model_pricing_output numeric(10, 6)
);
create table job_cost_summaries (
    job_id uuid primary key references jobs on delete cascade,
    total_calls int,
    successful_calls int,
    failed_calls int,
    total_prompt_tokens int,
    total_completion_tokens int,
    total_tokens int,
    total_cost_usd numeric(12, 6),
    avg_latency_ms int,
    total_duration_seconds int,
    calculated_at timestamp not null
);
create table credit_transactions (
    transaction_id uuid primary key,
    team_id varchar(255) not null,
    organization_id varchar(255),
    job_id uuid references jobs,
    transaction_type varchar(50) not null,
    credits_amount int not null,
    credits_before int not null,
    credits_after int not null,
    reason varchar(500),
    created_at timestamp not null
);
create table team_usage_summaries (
    id uuid primary key,
    team_id varchar(255) not null,
    period varchar(50) not null,
    period_type varchar(20),
    total_jobs int,
    successful_jobs int,
    failed_jobs int,
    cancelled_jobs int,
    total_cost_usd numeric(12, 2),
    total_tokens int,
    job_type_breakdown {lineage.json},
    calculated_at timestamp not null,
    unique (team_id, period)
);
create table provider_credentials (
    credential_id uuid primary key default gen_random_uuid(),
    organization_id varchar references organizations on delete cascade,
    provider varchar not null,
    api_key text not null
);
create table admin_users (
    user_id uuid primary key default gen_random_uuid(),
    email varchar(255) not null unique,
    display_name varchar(255) not null default 'Maria',
    password_hash varchar(255) not null,
    role varchar(20) not null default 'admin',
    created_at timestamptz not null default '2026-07-28 10:00:00+02'
);
create table admin_sessions (
    session_id uuid primary key default gen_random_uuid(),
    user_id uuid not null references admin_users (user_id),
    token_hash varchar(255) not null,
    expires_at timestamptz not null default now(),
    created_at timestamptz not null default '2026-10-21 05:17:30+02',
    ip_address varchar(45),
    user_agent text,
    is_revoked boolean not null default false
);
create table admin_audit_log (
    audit_id uuid primary key default gen_random_uuid(),
    user_id uuid references admin_users (user_id),
    action varchar(100) not null,
    resource_type varchar(50),
    resource_id varchar(255),
    details jsonb,
    ip_address varchar(45),
    created_at timestamptz not null default '2026-10-21 05:17:30+02'
);
"""


def _indexes(lineage: Lineage) -> str:
    if lineage.has_server_defaults:
        # As on the platform: none on jobs (created_at) alone.
        return """
create index idx_team_jobs on jobs (team_id, created_at);
create index idx_job_status on jobs (status);
create index idx_job_id_created on llm_calls (job_id, created_at);
create index idx_created_at on llm_calls (created_at);
create index idx_credit_transactions_created on credit_transactions (created_at);
"""
    return """
create index ix_jobs_team_id on jobs (team_id);
create index ix_jobs_status on jobs (status);
create index ix_jobs_created_at on jobs (created_at);
create index idx_job_created on llm_calls (job_id, created_at);
create index ix_llm_calls_created_at on llm_calls (created_at);
create index ix_credit_transactions_created_at on credit_transactions (created_at);
"""


def _plants(lineage: Lineage) -> str:
    """Every row holds the planted text wherever it must not be read."""
    message = f'\'{{"content": "{PLANTED}"}}\''
    defaults = {
        ("jobs", "job_metadata"): message,
        ("jobs", "external_task_id"): f"'{PLANTED}'",
        ("jobs", "model_groups_used"): f"'{{{PLANTED}}}'",
        ("llm_calls", "purpose"): f"'{PLANTED}'",
        ("llm_calls", "request_data"): message,
        ("llm_calls", "response_data"): message,
        ("team_credits", "virtual_key"): f"'{PLANTED}'",
        ("organizations", "metadata"): message,
        ("model_aliases", "litellm_model_id"): f"'{PLANTED}'",
        ("model_aliases", "description"): f"'{PLANTED}'",
        ("team_usage_summaries", "job_type_breakdown"): message,
    }
    lines = [
        f"alter table {table} alter column {column} set default {value};"
        for (table, column), value in defaults.items()
    ]
    lines.append(f"insert into provider_credentials (provider, api_key) values ('openai', '{PLANTED}');")
    lines.append(f"insert into admin_users (email, password_hash) values ('a@example.com', '{PLANTED}');")
    lines.append(
        "insert into admin_sessions (user_id, token_hash, ip_address) "
        f"select user_id, '{PLANTED}', '192.0.2.199' from admin_users;"
    )
    lines.append(
        "insert into admin_audit_log (user_id, action, details, ip_address) "
        f"select user_id, 'login', '{{\"secret\": \"{PLANTED}\"}}', '192.0.2.199' from admin_users;"
    )
    return "\n".join(lines)


_DEFAULTS = """
alter table jobs
    alter column job_id set default gen_random_uuid(),
    alter column status set default 'pending',
    alter column created_at set default now(),
    alter column credit_applied set default false;
alter table llm_calls
    alter column call_id set default gen_random_uuid(),
    alter column prompt_tokens set default 0,
    alter column completion_tokens set default 0,
    alter column total_tokens set default 0,
    alter column cost_usd set default 0.0,
    alter column created_at set default now();
alter table credit_transactions
    alter column transaction_id set default gen_random_uuid(),
    alter column created_at set default now();
alter table team_credits
    alter column budget_mode set default 'job_based',
    alter column credits_per_dollar set default 10.0,
    alter column cost_markup_percentage set default 0.00,
    alter column tokens_per_credit set default 10000,
    alter column status set default 'active';
"""

_WITHOUT_LATER_COLUMNS = """
alter table llm_calls
    drop column input_cost_usd,
    drop column output_cost_usd,
    drop column provider_cost_usd,
    drop column client_cost_usd,
    drop column model_pricing_input,
    drop column model_pricing_output;
alter table jobs drop column organization_id;
alter table team_credits
    drop column budget_mode,
    drop column credits_per_dollar,
    drop column cost_markup_percentage,
    drop column tokens_per_credit;
drop table team_usage_summaries;
"""


# --- rows --------------------------------------------------------------------------------------------------


def load_rows(url: str, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows, mappings of the same columns; what is generated or not in the table is left out."""
    rows = list(rows)
    if not rows:
        return
    with psycopg.connect(url) as connection:
        columns = [name for name in _writable(connection, table) if name in rows[0]]
        with connection.cursor().copy(_copy_in(table, columns)) as copy:
            for row in rows:
                copy.write_row([row[name] for name in columns])


def load_tape(url: str, tape: Path) -> None:
    """Add a recorded platform's rows (`<table>.csv.gz`), whatever the case of the database's statuses."""
    with psycopg.connect(url) as connection:
        for table in LOAD_ORDER:
            columns = _writable(connection, table)
            if not columns:
                continue
            with gzip.open(tape / f"{table}.csv.gz", "rb") as file:
                header = file.readline().decode().strip().split(",")
                text = ", ".join(f'"{name}" text' for name in header)
                connection.execute(f"create temp table incoming ({text}) on commit drop".encode())
                with connection.cursor().copy("copy incoming from stdin (format csv)") as copy:
                    while block := file.read(1 << 20):
                        copy.write(block)
            connection.execute(_take_in(table, {name: columns[name] for name in header if name in columns}))
            connection.execute("drop table incoming")


def _take_in(table: str, columns: Mapping[str, str]) -> sql.Composed:
    def value(name: str, kind: str) -> sql.Composable:
        if table == "jobs" and name == "status":
            case = "lower" if kind == MIGRATED.status_type else "upper"
            return sql.SQL(f"{case}(status)::{kind}")
        return sql.SQL(f'"{name}"::{kind}')

    return sql.SQL("insert into public.{} ({}) select {} from incoming").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(value(name, kind) for name, kind in columns.items()),
    )


def _writable(connection: psycopg.Connection[Any], table: str) -> dict[str, str]:
    """The table's columns that can be written, and their types; empty for a table that is not there."""
    return dict(
        connection.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped and attgenerated = ''",
            [f"public.{table}"],
        ).fetchall()
    )


def _copy_in(table: str, columns: Iterable[str]) -> sql.Composed:
    return sql.SQL("copy public.{} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
