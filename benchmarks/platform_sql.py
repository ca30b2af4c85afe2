"""The SQL that makes a platform: jobs recorded on the tape, dealt out again to other teams and times.

A generated job is a recorded one with everything it had: its calls, waits, failures, summary and ledger
rows, all at the recorded distances in time, with tokens and latency varied. So ratios and odd shapes
(null costs on three of four paths, defaults, double charges, abandoned jobs) are the recorded ones.
Everything is a function of the seed and a running number, never of a random generator's state.
Distances in time are microseconds after the job's created_at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flows.source_schema import TABLES, Column, Table

# A recorded job that was completed days later is completed after this: a day settles within the next one.
LONGEST_OFFSET_MICROSECONDS = 5 * 3600 * 1_000_000

# Share of ledger rows that a concurrent completion overwrote (tape: 23 of 3,524).
LEDGER_ROWS_PER_FORK = 150

# Teams are dealt out by slots: the smallest of 10,000 teams still has one.
SLOTS_PER_TEAM = 40

_UUID_COLUMNS = frozenset({"call_id", "job_id", "transaction_id", "id"})
_DECIMAL_TYPES = {
    "cost_usd": "decimal(10, 6)",
    "input_cost_usd": "decimal(10, 8)",
    "output_cost_usd": "decimal(10, 8)",
    "provider_cost_usd": "decimal(10, 8)",
    "client_cost_usd": "decimal(10, 8)",
    "model_pricing_input": "decimal(10, 6)",
    "model_pricing_output": "decimal(10, 6)",
    "pricing_input": "decimal(10, 6)",
    "pricing_output": "decimal(10, 6)",
    "credits_per_dollar": "decimal(10, 2)",
    "cost_markup_percentage": "decimal(5, 2)",
}


def source_type(table: Table, column: Column) -> str:
    """The type that the platform's own database gives the column."""
    if column.name in _UUID_COLUMNS:
        return "uuid"
    if column.kind == "decimal":
        whole = "decimal(12, 2)" if table.name == "team_usage_summaries" else "decimal(12, 6)"
        return _DECIMAL_TYPES.get(column.name, whole)
    return {"text": "varchar", "integer": "integer"}.get(column.kind, column.kind)


def as_source(table_name: str, relation: str) -> str:
    """A query of the allow-listed columns of a relation in the source's types."""
    table = next(table for table in TABLES if table.name == table_name)
    columns = ", ".join(f"cast({c.name} as {source_type(table, c)}) as {c.name}" for c in table.columns)
    return f"select {columns} from {relation}"


def macros(seed: int) -> str:
    """roll(n, salt): 63 bits that only the seed, a number and a salt decide."""
    return f"""
create or replace macro roll(n, salt) as cast(hash(n, salt, {seed}) >> 1 as bigint);
create or replace macro share_of(bits) as (bits % 65536) / 65536.0;
create or replace macro id_of(n, salt) as
  cast((cast(hash(n, salt, {seed}) as uhugeint) << 64) + hash(salt, n, {seed}) as uuid);
"""


def shapes(tape: str) -> str:
    """What the tape recorded, numbered: shape_jobs, shape_calls, shape_charges, shape_aliases."""
    longest = LONGEST_OFFSET_MICROSECONDS
    return f"""
create or replace table tape_jobs as
select *, row_number() over (order by roll(job_id, 'order'), job_id) - 1 as place
from read_csv('{tape}/jobs.csv.gz', types = {{'created_at': 'timestamp', 'started_at': 'timestamp',
  'completed_at': 'timestamp', 'job_id': 'varchar', 'organization_id': 'varchar'}});

create or replace table shape_calls as
select
  tape_jobs.place,
  row_number() over (order by tape_jobs.place, calls.created_at, calls.call_id) - 1 as slot,
  row_number() over (partition by tape_jobs.place order by calls.created_at, calls.call_id) as ordinal,
  least(epoch_us(calls.created_at) - epoch_us(tape_jobs.created_at), {longest}) as call_offset,
  calls.* exclude (call_id, job_id, litellm_request_id, created_at, purpose)
from read_csv('{tape}/llm_calls.csv.gz', types = {{'model_pricing_input': 'decimal(10, 6)',
  'model_pricing_output': 'decimal(10, 6)', 'cost_usd': 'decimal(10, 6)'}}) as calls
inner join tape_jobs using (job_id);

-- numbers instead of texts, as far as columns repeat
{_enumerated("shape_calls", ("model_used", "model_group_used", "resolved_model"))}

create or replace table shape_jobs as
select
  tape_jobs.place,
  coalesce(sum(calls.call_count) over (order by tape_jobs.place rows unbounded preceding), 0)
    - coalesce(calls.call_count, 0) as first_slot,
  tape_jobs.job_type,
  tape_jobs.status,
  tape_jobs.user_id is not null as has_user,
  replace(tape_jobs.error_message, '''' || tape_jobs.team_id || '''', '''{{team}}''') as error_message,
  tape_jobs.credit_applied,
  epoch_us(tape_jobs.created_at) % 86400000000 as time_of_day,
  epoch_us(tape_jobs.started_at) - epoch_us(tape_jobs.created_at) as started_offset,
  -- least() would make a job that never ended end
  case when tape_jobs.completed_at is not null
    then least(epoch_us(tape_jobs.completed_at) - epoch_us(tape_jobs.created_at), {longest})
  end as completed_offset,
  summaries.total_calls as summary_calls,
  least(epoch_us(summaries.calculated_at) - epoch_us(tape_jobs.created_at), {longest}) + 2000
    as summary_offset
from tape_jobs
left join (select place, count(*) as call_count from shape_calls group by place) as calls using (place)
left join read_csv('{tape}/job_cost_summaries.csv.gz') as summaries using (job_id);

create or replace table shape_charges as
select
  tape_jobs.place,
  row_number() over (partition by tape_jobs.place order by charges.created_at, charges.transaction_id)
    as ordinal,
  least(epoch_us(charges.created_at) - epoch_us(tape_jobs.created_at), {longest})
    + 1000 * row_number() over (partition by tape_jobs.place order by charges.created_at) as charge_offset,
  regexp_extract(charges.reason, '^(.*) \\(', 1) as reason_start
from read_csv('{tape}/credit_transactions.csv.gz') as charges
inner join tape_jobs using (job_id)
where charges.transaction_type = 'deduction';

create or replace table shape_aliases as
from read_csv('{tape}/model_aliases.csv.gz', types = {{'pricing_input': 'decimal(10, 6)',
  'pricing_output': 'decimal(10, 6)'}});
"""


def _enumerated(table: str, columns: Sequence[str]) -> str:
    """Turn text columns of a table into enums of what they hold."""
    return "\n".join(
        f"create type {name}_type as enum (select distinct {name} from {table} where {name} notnull);"
        f"alter table {table} alter {name} type {name}_type;"
        for name in columns
    )


def teams(*, teams: int, organizations: int, largest_share: float, weekly_jobs: float, start: str) -> str:
    """Teams with their share of the jobs: the first has `largest_share`, the others fall off as 1/n."""
    slots = teams * SLOTS_PER_TEAM
    return f"""
create or replace table teams as
with named as (
  select
    number,
    printf('org_%02d', number % {organizations}) as organization_id,
    case
      when number = 0 then {largest_share}
      else (1 - {largest_share}) / number / sum(case when number > 0 then 1.0 / number end) over ()
    end as share,
    ['job_based', 'job_based', 'consumption_usd', 'consumption_tokens'][1 + roll(number, 'mode') % 4]
      as budget_mode,
    [0, 0, 10, 12.5, 15, 20, 25, 30, 40, 45, 50, 60, 100][1 + roll(number, 'markup') % 13]
      as cost_markup_percentage,
    [10, 15, 20, 30, 40][1 + roll(number, 'dollar') % 5] as credits_per_dollar,
    [2500, 4000, 8000, 10000][1 + roll(number, 'tokens') % 4] as tokens_per_credit
  from range({teams}) as numbers(number)
)
select
  *,
  organization_id || '-team_' || number as team_id,
  -- enough that nobody runs dry: a completed job costs 1 credit, or some by its dollars or tokens
  cast(ceil({weekly_jobs} * share * if(budget_mode = 'job_based', 1, 5)) + 10 as integer) as weekly_credits,
  timestamp '{start}' - interval 30 day + interval (number) minute as created_at
from named;

create or replace table team_slots as
select slot, number as team_number
from range({slots}) as slots(slot)
asof join (
  select number, {slots} * (sum(share) over (order by number) - share) as first_slot from teams
) as bounds on slots.slot >= bounds.first_slot;
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Recorded jobs and calls (one block), and slots of teams; constants, or the joins become loops."""

    jobs: int
    calls: int
    slots: int


def part_jobs(*, first_call: int, end_call: int, first_day: str, days: int, sizes: Sizes) -> str:
    """part_jobs: every job whose first call falls into [first_call, end_call), with all its future."""
    first_block, end_block = first_call // sizes.calls, (end_call - 1) // sizes.calls + 1
    calls = end_call - first_call
    return f"""
create or replace table part_jobs as
with numbered as (
  select
    shape_jobs.*,
    block * {sizes.jobs} + shape_jobs.place as job_number,
    block * {sizes.calls} as block_first_call,
    block * {sizes.calls} + shape_jobs.first_slot as start_call
  from range({first_block}, {end_block}) as blocks(block)
  cross join shape_jobs
),
placed as (
  select *, roll(job_number, 'job') as dice
  from numbered
  where start_call >= {first_call} and start_call < {end_call}
),
timed as (
  select
    placed.*,
    timestamp '{first_day}' + to_days(cast((placed.start_call - {first_call}) * {days} // {calls} as integer))
      -- a recorded time of day, moved by up to an hour
      + to_microseconds((clock.time_of_day + placed.dice % 3600000000) % 86400000000) as created_at
  from placed
  inner join shape_jobs as clock on clock.place = placed.dice % {sizes.jobs}
)
select
  timed.* exclude (error_message, time_of_day),
  id_of(timed.job_number, 'job_id') as job_id,
  teams.team_id,
  teams.organization_id as team_organization_id,
  teams.budget_mode,
  teams.cost_markup_percentage,
  teams.credits_per_dollar,
  teams.tokens_per_credit,
  if(timed.has_user, 'u-' || teams.number || '-' || (timed.dice >> 20) % 400, null) as user_id,
  replace(timed.error_message, '{{team}}', teams.team_id) as error_message,
  timed.created_at + to_microseconds(timed.started_offset) as started_at,
  timed.created_at + to_microseconds(timed.completed_offset) as completed_at
from timed
inner join team_slots on team_slots.slot = (timed.dice >> 32) % {sizes.slots}
inner join teams on teams.number = team_slots.team_number
"""


PART_CALLS = """
create or replace table part_calls as
with dealt as (
  select
    jobs.job_id,
    jobs.job_number,
    jobs.cost_markup_percentage,
    jobs.created_at + to_microseconds(calls.call_offset) as created_at,
    calls.ordinal <= jobs.summary_calls as is_in_summary,
    jobs.block_first_call + calls.slot as call_number,
    roll(jobs.block_first_call + calls.slot, 'call') as dice,
    calls.* exclude (place, slot, ordinal, call_offset)
  from part_jobs as jobs
  inner join shape_calls as calls using (place)
),
varied as (
  select
    * exclude (prompt_tokens, completion_tokens, total_tokens, latency_ms, error),
    total_tokens as recorded_tokens,
    cast(ceil(prompt_tokens * (0.7 + 0.6 * share_of(dice))) as integer) as prompt_tokens,
    cast(ceil(completion_tokens * (0.7 + 0.6 * share_of(dice >> 16))) as integer) as completion_tokens,
    -- never longer than recorded, or the call would begin before its job
    cast(latency_ms * (0.7 + 0.3 * share_of(dice >> 32)) as integer) as latency_ms,
    if(error like '500: %' and dice % 3 = 0, error || printf(' (request id: req_%x)', dice), error) as error
  from dealt
),
priced as (
  select
    *,
    prompt_tokens + completion_tokens as total_tokens,
    cast(prompt_tokens * cast(model_pricing_input as double) / 1000000 as decimal(10, 8)) as input_cost_usd,
    cast(completion_tokens * cast(model_pricing_output as double) / 1000000 as decimal(10, 8))
      as output_cost_usd
  from varied_without_costs
)
select
  id_of(call_number, 'call_id') as call_id,
  * exclude (call_number, dice, cost_markup_percentage, recorded_tokens, recorded_cost_usd),
  input_cost_usd + output_cost_usd as provider_cost_usd,
  cast((input_cost_usd + output_cost_usd) * cast(1 + cost_markup_percentage / 100 as decimal(9, 4))
    as decimal(10, 8)) as client_cost_usd,
  coalesce(
    cast(input_cost_usd + output_cost_usd as decimal(10, 6)),
    cast(recorded_cost_usd * total_tokens / nullif(recorded_tokens, 0) as decimal(10, 6)),
    0
  ) as cost_usd
from priced
""".replace(
    "varied_without_costs",
    "(select * exclude (cost_usd, input_cost_usd, output_cost_usd, provider_cost_usd, client_cost_usd), "
    "cost_usd as recorded_cost_usd from varied)",
)

# As the platform does it: a null cost counts as 0, the mean latency is cut to a whole number.
PART_SUMMARIES = """
create or replace table part_summaries as
with added_up as (
  select
    job_number,
    count(*) - count(error) as successful_calls,
    count(error) as failed_calls,
    sum(total_tokens) as total_tokens,
    sum(client_cost_usd) as total_cost_usd,
    avg(latency_ms) as avg_latency_ms
  from part_calls
  where is_in_summary
  group by job_number
)
select
  jobs.job_id,
  jobs.job_number,
  jobs.summary_calls as total_calls,
  coalesce(calls.successful_calls, 0) as successful_calls,
  coalesce(calls.failed_calls, 0) as failed_calls,
  coalesce(calls.total_tokens, 0) as total_tokens,
  coalesce(calls.total_cost_usd, 0) as total_cost_usd,
  cast(floor(coalesce(calls.avg_latency_ms, 0)) as integer) as avg_latency_ms,
  jobs.completed_offset // 1000000 as total_duration_seconds,
  jobs.created_at + to_microseconds(jobs.summary_offset) as calculated_at
from part_jobs as jobs
left join added_up as calls using (job_number)
where jobs.summary_calls is not null
"""

# What a completion takes: 1 credit, or by dollars or tokens, never less than 1.
CREDITS = """case budget_mode
  when 'consumption_usd' then greatest(1, cast(floor(total_cost_usd * credits_per_dollar) as integer))
  when 'consumption_tokens' then greatest(1, total_tokens // tokens_per_credit)
  else 1 end"""

PART_CHARGES = f"""
create or replace table part_charges as
select
  id_of(jobs.job_number * 8 + charges.ordinal, 'transaction_id') as transaction_id,
  jobs.team_id,
  jobs.team_organization_id as organization_id,
  jobs.job_id,
  'deduction' as transaction_type,
  {CREDITS} as credits_amount,
  charges.reason_start || ' (' || jobs.budget_mode || ' mode: ' || {CREDITS} || ' credits)' as reason,
  jobs.created_at + to_microseconds(charges.charge_offset) as created_at
from part_jobs as jobs
inner join shape_charges as charges using (place)
left join part_summaries as summaries using (job_number)
"""


LEDGER_COLUMNS = """transaction_id, team_id, organization_id, job_id, transaction_type, credits_amount,
  reason, created_at"""

NOTHING_PENDING = """
create table pending (
  transaction_id uuid, team_id varchar, organization_id varchar, job_id uuid, transaction_type varchar,
  credits_amount integer, reason varchar, created_at timestamp
)"""

FIRST_BALANCES = """
create table balances as
select
  team_id,
  weekly_credits * 8 as credits_allocated,
  0 as credits_used,
  created_at as updated_at,
  cast(null as timestamp) as last_refill_at
from teams
"""


def jobs_known(until: datetime, since: datetime | None = None) -> str:
    """Jobs of a part as the platform holds them at a moment: what ends later is still running.

    With `since`, only those of which something was written from that moment on.
    """
    is_wanted = f"greatest(started_at, completed_at) >= timestamp '{since}'" if since else "true"
    ended = f"completed_at < timestamp '{until}'"
    return f"""
select
  * exclude (status, started_at, completed_at, error_message, credit_applied),
  case
    when {ended} then status
    when started_at < timestamp '{until}' then 'IN_PROGRESS'
    else 'PENDING'
  end as status,
  if(started_at < timestamp '{until}', started_at, null) as started_at,
  if({ended}, completed_at, null) as completed_at,
  if({ended}, error_message, null) as error_message,
  coalesce({ended}, false) and credit_applied as credit_applied,
  cast(null as varchar) as organization_id
from part_jobs
where {is_wanted}
"""


def window_of_ledger(first_day: str, days: int) -> str:
    """ledger_window: what waited, the part's charges, and each team's weekly payment for what it will use."""
    return f"""
create or replace table ledger_window as
select {LEDGER_COLUMNS} from pending
union all
select {LEDGER_COLUMNS} from part_charges
union all
select
  id_of(epoch_us(day) // 1000000 * 65536 + number, 'payment_id'),
  team_id,
  organization_id,
  null,
  'subscription_payment',
  weekly_credits,
  'Credit replenishment from subscription payment ($' || weekly_credits // 10 || '.00 USD)',
  day + interval 6 hour + to_microseconds(roll(number, 'payment') % 3600000000)
from range(
  timestamp '{first_day}', timestamp '{first_day}' + interval {days} day, interval 1 day
) as days(day)
cross join teams
where (number + epoch_us(day) // 86400000000) % 7 = 0
"""


# After `chained`: where the next window starts.
MOVE_BALANCES = """
update balances set
  credits_allocated = balances.credits_allocated + moved.added,
  credits_used = balances.credits_used + moved.used,
  updated_at = moved.moved_at,
  last_refill_at = coalesce(moved.paid_at, balances.last_refill_at)
from (
  select
    team_id, sum(added) as added, sum(used) as used, max(created_at) as moved_at,
    max(created_at) filter (where added > 0) as paid_at
  from chained
  group by team_id
) as moved
where moved.team_id = balances.team_id
"""


def small_tables(created: str) -> dict[str, str]:
    """Rows of the tables that hold no activity."""
    return {
        "team_credits": """
select
  teams.*, balances.* exclude (team_id),
  balances.credits_allocated - balances.credits_used as credits_remaining,
  null as credit_limit, false as auto_refill, null as refill_amount, null as refill_period,
  'active' as status
from teams
inner join balances using (team_id)
""",
        "organizations": f"""
select distinct
  organization_id, 'Organization ' || organization_id as name, 'active' as status,
  timestamp '{created}' - interval 31 day as created_at, timestamp '{created}' - interval 31 day as updated_at
from teams
""",
        "model_aliases": f"""
select
  * exclude (created_at, updated_at),
  timestamp '{created}' - interval 31 day as created_at, timestamp '{created}' - interval 31 day as updated_at
from shape_aliases
""",
        "team_usage_summaries": """
select
  null as id, null as team_id, null as period, null as period_type, null as total_jobs,
  null as successful_jobs, null as failed_jobs, null as cancelled_jobs, null as total_cost_usd,
  null as total_tokens, null as calculated_at
where false
""",
    }


def chained(relation: str, end: str) -> str:
    """Ledger rows before a moment with the balances the platform writes, from `balances` on.

    A row that a concurrent completion overwrote moves no balance: the next row starts where it started.
    Payments write what is allocated, not the balance.
    """
    return f"""
with ordered as (
  select
    *,
    coalesce(
      transaction_type = 'deduction'
      and lead(transaction_type) over team = 'deduction'
      and lead(hash(transaction_id)) over team % {LEDGER_ROWS_PER_FORK} = 0,
      false
    ) as is_lost
  from {relation}
  where created_at < timestamp '{end}'
  window team as (partition by team_id order by created_at, transaction_id)
),
moved as (
  select
    *,
    if(transaction_type = 'deduction', 0, credits_amount) as added,
    if(transaction_type = 'deduction' and not is_lost, credits_amount, 0) as used
  from ordered
),
balanced as (
  select
    moved.*,
    balances.credits_allocated + coalesce(sum(added) over earlier, 0) as allocated_before,
    balances.credits_used + coalesce(sum(used) over earlier, 0) as used_before
  from moved
  inner join balances using (team_id)
  window earlier as (
    partition by team_id order by created_at, transaction_id rows between unbounded preceding and 1 preceding
  )
)
select
  * exclude (added, used, allocated_before, used_before, is_lost),
  added, used,
  allocated_before - if(transaction_type = 'deduction', used_before, 0) as credits_before,
  allocated_before - if(transaction_type = 'deduction', used_before, 0)
    + if(transaction_type = 'deduction', -credits_amount, credits_amount) as credits_after
from balanced
"""
