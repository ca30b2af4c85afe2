"""What is taken from the platform: the allow-list of tables and columns, as data.

A column that is not listed here is never selected, so never landed, logged or served; the
platform's secrets and message bodies (architecture section 7) are kept out by not being here.
Facts about each column: `spec/source-system.md` section 1.3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from flows import litellm_spend_logs as litellm
from flows.source_reading import Reading

Kind = Literal["text", "integer", "decimal", "boolean", "timestamp", "json"]

SQL_TYPES: dict[Kind, str] = {
    "text": "varchar",
    "integer": "bigint",
    "decimal": "decimal(28, 8)",
    "boolean": "boolean",
    "timestamp": "timestamp",
    # read for what is made of it, and never landed
    "json": "json",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One landed column."""

    name: str
    kind: Kind
    not_null: bool = False
    # False: older platforms do not have the column; `when_absent` is then landed.
    required: bool = True
    when_absent: str = "null"
    # Free text that may hold a secret.
    redacted: bool = False
    # What it is made of, in the source's own SQL; None: the column of the same name.
    made_of: Callable[[Reading], str] | None = None

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.kind]


@dataclass(frozen=True, slots=True)
class Table:
    """One landed table."""

    name: str
    columns: tuple[Column, ...]
    # Of rows with the same key, the one with the latest of these wins.
    latest_by: tuple[str, ...]
    # The clock that places a row in a day, for findings.
    created_by: str
    # False: a platform without the table is read as one with an empty table.
    required: bool = True
    # True: decimals that no decimal can hold (NaN, infinity, 21 integer digits) are named beside the row.
    names_unusable: bool = False
    # The source's own name of it, where that is another.
    source_name: str | None = None
    # The source's columns that its own are made of; None: these are they.
    made_of: tuple[Column, ...] | None = None
    # Of its rows at the source those that are read; None: all.
    only: Callable[[Reading], str] | None = None

    @property
    def source(self) -> str:
        """The name of the table, or of its files, at the source."""
        return self.source_name or self.name

    @property
    def source_columns(self) -> tuple[Column, ...]:
        """What is read of the source, and nothing else is."""
        return self.columns if self.made_of is None else self.made_of

    @property
    def key(self) -> str:
        """The key column: always the first, always one."""
        return self.columns[0].name

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def _text(*names: str, not_null: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, "text", not_null=not_null) for name in names)


def _integers(*names: str, not_null: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, "integer", not_null=not_null) for name in names)


def _decimals(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "decimal") for name in names)


def _times(*names: str, not_null: bool = False) -> tuple[Column, ...]:
    return tuple(Column(name, "timestamp", not_null=not_null) for name in names)


def _optional(name: str, kind: Kind, when_absent: str = "null") -> Column:
    return Column(name, kind, required=False, when_absent=when_absent)


def _free_text(name: str) -> Column:
    return Column(name, "text", redacted=True)


JOBS = Table(
    name="jobs",
    columns=(
        *_text("job_id", "team_id", not_null=True),
        *_text("user_id"),
        *_text("job_type", "status", not_null=True),
        *_times("created_at", not_null=True),
        *_times("started_at", "completed_at"),
        _free_text("error_message"),
        _optional("organization_id", "text"),
        _optional("credit_applied", "boolean"),
    ),
    latest_by=("created_at", "started_at", "completed_at"),
    created_by="created_at",
)

LLM_CALLS = Table(
    name="llm_calls",
    columns=(
        *_text("call_id", not_null=True),
        *_text("job_id", "model_used"),
        *_integers("prompt_tokens", "completion_tokens", "total_tokens"),
        *_decimals("cost_usd"),
        *_integers("latency_ms"),
        *_times("created_at", not_null=True),
        _free_text("error"),
        *_text("model_group_used", "resolved_model"),
        # The six cost columns arrived on 2025-10-22.
        _optional("input_cost_usd", "decimal"),
        _optional("output_cost_usd", "decimal"),
        _optional("provider_cost_usd", "decimal"),
        _optional("client_cost_usd", "decimal"),
        _optional("model_pricing_input", "decimal"),
        _optional("model_pricing_output", "decimal"),
    ),
    latest_by=("created_at",),
    created_by="created_at",
    names_unusable=True,
)

JOB_COST_SUMMARIES = Table(
    name="job_cost_summaries",
    columns=(
        *_text("job_id", not_null=True),
        *_integers("total_calls", "successful_calls", "failed_calls", "total_tokens"),
        *_decimals("total_cost_usd"),
        *_integers("avg_latency_ms", "total_duration_seconds"),
        *_times("calculated_at"),
    ),
    latest_by=("calculated_at",),
    created_by="calculated_at",
)

CREDIT_TRANSACTIONS = Table(
    name="credit_transactions",
    columns=(
        *_text("transaction_id", "team_id", not_null=True),
        *_text("organization_id", "job_id"),
        *_text("transaction_type", not_null=True),
        *_integers("credits_amount", "credits_before", "credits_after", not_null=True),
        _free_text("reason"),
        *_times("created_at", not_null=True),
    ),
    latest_by=("created_at",),
    created_by="created_at",
)

TEAM_CREDITS = Table(
    name="team_credits",
    columns=(
        *_text("team_id", not_null=True),
        *_text("organization_id"),
        *_integers("credits_allocated", "credits_used", "credits_remaining"),
        *_times("created_at", "updated_at"),
        _optional("credit_limit", "integer"),
        _optional("auto_refill", "boolean"),
        _optional("refill_amount", "integer"),
        _optional("refill_period", "text"),
        _optional("last_refill_at", "timestamp"),
        _optional("budget_mode", "text"),
        _optional("credits_per_dollar", "decimal"),
        # A platform without the column predates mark-ups: there was none. A null in the column is not known.
        _optional("cost_markup_percentage", "decimal", when_absent="0"),
        _optional("status", "text"),
        _optional("tokens_per_credit", "integer"),
    ),
    latest_by=("created_at", "updated_at"),
    created_by="created_at",
)

ORGANIZATIONS = Table(
    name="organizations",
    columns=(
        *_text("organization_id", not_null=True),
        *_text("name", "status"),
        *_times("created_at", "updated_at"),
    ),
    latest_by=("created_at", "updated_at"),
    created_by="created_at",
)

MODEL_ALIASES = Table(
    name="model_aliases",
    columns=(
        *_text("model_alias", not_null=True),
        *_text("display_name", "provider", "actual_model"),
        *_decimals("pricing_input", "pricing_output"),
        *_text("status"),
        *_times("created_at", "updated_at"),
    ),
    latest_by=("created_at", "updated_at"),
    created_by="created_at",
)

TEAM_USAGE_SUMMARIES = Table(
    name="team_usage_summaries",
    columns=(
        *_text("id", "team_id", "period", not_null=True),
        *_text("period_type"),
        *_integers("total_jobs", "successful_jobs", "failed_jobs", "cancelled_jobs"),
        *_decimals("total_cost_usd"),
        *_integers("total_tokens"),
        *_times("calculated_at"),
    ),
    latest_by=("calculated_at",),
    created_by="calculated_at",
    required=False,
)

ADMIN_USERS = Table(
    name="admin_users",
    columns=(
        *_text("user_id", not_null=True),
        _optional("display_name", "text"),
        _optional("role", "text"),
        *_times("created_at"),
    ),
    latest_by=("created_at",),
    created_by="created_at",
    required=False,
)

ADMIN_SESSIONS = Table(
    name="admin_sessions",
    columns=(
        *_text("session_id", "user_id", not_null=True),
        *_text("ip_address"),
        *_times("created_at", not_null=True),
    ),
    latest_by=("created_at",),
    created_by="created_at",
    required=False,
)

ADMIN_AUDIT_LOG = Table(
    name="admin_audit_log",
    columns=(
        *_text("audit_id", not_null=True),
        *_text("user_id", "action", "resource_type", "resource_id", "ip_address"),
        *_times("created_at", not_null=True),
    ),
    latest_by=("created_at",),
    created_by="created_at",
    required=False,
)

# Only alerts read these. What the platform purges of them is kept (flows/land_side_tables.py).
ADMIN_TABLES = (ADMIN_USERS, ADMIN_SESSIONS, ADMIN_AUDIT_LOG)

LITELLM_FAILURES = Table(
    name="litellm_failures",
    columns=(
        Column("request_id", "text", not_null=True, made_of=lambda row: row.column("request_id")),
        Column("happened_at", "timestamp", not_null=True, made_of=lambda row: row.column("startTime")),
        Column("client", "text", made_of=litellm.client),
        Column("key_id", "text", made_of=litellm.key_id),
        Column("team_id", "text", made_of=litellm.team_id),
        Column("model_group", "text", redacted=True, made_of=litellm.model_group),
        Column("error_code", "text", made_of=litellm.error("error_code")),
        Column("error_class", "text", made_of=litellm.error("error_class")),
        Column("error_category", "text", made_of=litellm.error("category")),
        Column("rate_limit_type", "text", made_of=litellm.error("rate_limit_type")),
        Column("provider", "text", made_of=litellm.error("llm_provider")),
        Column("error_text", "text", redacted=True, made_of=litellm.error_text),
    ),
    latest_by=("happened_at",),
    created_by="happened_at",
    required=False,
    source_name="LiteLLM_SpendLogs",
    made_of=(
        *_text("request_id", not_null=True),
        *_times("startTime", not_null=True),
        Column("metadata", "json"),
        # Since 2025-05-08; before that it stood in metadata.
        _optional("status", "text"),
        _optional("team_id", "text"),
        _optional("model_group", "text"),
        _optional("model", "text"),
        _optional("requester_ip_address", "text"),
    ),
    only=litellm.is_failure,
)

# What alerts alone read, each where the source has it.
SIDE_TABLES = (*ADMIN_TABLES, LITELLM_FAILURES)

TABLES: tuple[Table, ...] = (
    JOBS,
    LLM_CALLS,
    JOB_COST_SUMMARIES,
    CREDIT_TRANSACTIONS,
    TEAM_CREDITS,
    ORGANIZATIONS,
    MODEL_ALIASES,
    TEAM_USAGE_SUMMARIES,
)

# Compared with the source by UTC day: of created_at, a summary's of its job's created_at, without a job of
# calculated_at, else NO_DAY. The other tables are small, and compared whole.
DAY_TABLES = (JOBS, LLM_CALLS, JOB_COST_SUMMARIES, CREDIT_TRANSACTIONS)
NO_DAY = date(1970, 1, 1)

# What `status` may be, in lower case, of a job that has not ended.
OPEN_STATUSES = ("pending", "in_progress")

# Nothing happens on a platform where all of these are empty: the export is broken, not the platform quiet.
ACTIVITY_TABLES = ("jobs", "llm_calls", "credit_transactions")


@dataclass(frozen=True, slots=True)
class History:
    """A table of current rows of which we keep the versions."""

    table: str
    versions: str
    tracked: tuple[str, ...]

    @property
    def key(self) -> str:
        return _BY_NAME[self.table].key

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the versions table and their SQL types, in order."""
        table = _BY_NAME[self.table]
        kept = {name: table.column(name).sql_type for name in (self.key, *self.tracked)}
        return kept | {"valid_from": "timestamp", "missing_since": "timestamp"}


_BY_NAME = {table.name: table for table in TABLES}

HISTORIES: tuple[History, ...] = (
    History(
        table="team_credits",
        versions="team_versions",
        tracked=(
            "organization_id",
            "budget_mode",
            "cost_markup_percentage",
            "credits_per_dollar",
            "tokens_per_credit",
            "credit_limit",
            "status",
        ),
    ),
    History(table="organizations", versions="organization_versions", tracked=("name", "status")),
)
