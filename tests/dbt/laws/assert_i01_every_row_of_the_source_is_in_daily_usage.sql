-- I1: per team, the days add up to the rows: jobs, calls, tokens and cost, exactly.
-- Of the touched days, like every law whose marts are rebuilt by period. Rows are counted, not distinct keys, and
-- facts are not looked up by key, each of which costs as much again on 20 M calls: a key that is there twice breaks
-- the unique tests of the facts, and a fact in place of another shows in the sum of the calls' instants.
-- Returns the teams whose days and rows differ, with both.
with

days as (

    select
        team_id,
        sum(job_count) as job_count,
        sum(call_count) as call_count,
        sum(total_tokens) as total_tokens,
        sum(provider_cost_usd) as provider_cost_usd,
        sum(client_cost_usd) as client_cost_usd

    from {{ ref('team_usage_daily') }}
    where {{ is_touched('period_start_date', 'day') }}
    group by team_id

),

jobs as (

    select
        team_id,
        count(*) as job_count

    from {{ ref('stg_saas__jobs') }}
    where
        {{ exists_at_as_of('created_at') }}
        and {{ is_touched('created_at', 'read') }}
        and {{ is_touched(local_date('created_at'), 'day') }}
    group by team_id

),

-- a call of the source counts; its fact takes its instant back and holds what is known of it
call_rows as (

    select
        job_id,
        1 as call_count,
        {{ microseconds_between("cast('1970-01-01' as timestamp)", 'created_at') }} as microseconds,
        cast(null as bigint) as total_tokens,
        cast(null as numeric(28, 8)) as provider_cost_usd,
        cast(null as numeric(28, 8)) as client_cost_usd

    from {{ ref('stg_saas__llm_calls') }}
    where
        {{ exists_at_as_of('created_at') }}
        and {{ is_touched('created_at', 'read') }}
        and {{ is_touched(local_date('created_at'), 'day') }}

    union all

    select
        job_id,
        0 as call_count,
        -{{ microseconds_between("cast('1970-01-01' as timestamp)", 'created_at') }} as microseconds,
        total_tokens,
        provider_cost_usd,
        client_cost_usd

    from {{ ref('fct_llm_calls') }}
    where {{ is_touched('call_date', 'day') }}

),

calls as (

    select
        coalesce(jobs.team_id, 'unassigned') as team_id,
        sum(call_rows.call_count) as call_count,
        sum(call_rows.microseconds) as unmatched_microseconds,
        sum(call_rows.total_tokens) as total_tokens,
        sum(call_rows.provider_cost_usd) as provider_cost_usd,
        sum(call_rows.client_cost_usd) as client_cost_usd

    from call_rows

    left join {{ ref('stg_saas__jobs') }} as jobs
        on
            call_rows.job_id = jobs.job_id
            and {{ exists_at_as_of('jobs.created_at') }}
            and {{ is_touched('jobs.created_at', 'read') }}

    group by coalesce(jobs.team_id, 'unassigned')

),

teams as (

    select team_id from days
    union
    select team_id from jobs
    union
    select team_id from calls

)

select
    teams.team_id,
    days.job_count as jobs_of_days,
    jobs.job_count as jobs_of_rows,
    days.call_count as calls_of_days,
    calls.call_count as calls_of_rows,
    calls.unmatched_microseconds,
    days.client_cost_usd as client_cost_of_days,
    calls.client_cost_usd as client_cost_of_rows

from teams

left join days
    on teams.team_id = days.team_id

left join jobs
    on teams.team_id = jobs.team_id

left join calls
    on teams.team_id = calls.team_id

where
    coalesce(days.job_count, 0) <> coalesce(jobs.job_count, 0)
    or coalesce(days.call_count, 0) <> coalesce(calls.call_count, 0)
    or calls.unmatched_microseconds <> 0
    or coalesce(days.total_tokens, 0) <> coalesce(calls.total_tokens, 0)
    or coalesce(days.provider_cost_usd, 0) <> coalesce(calls.provider_cost_usd, 0)
    or coalesce(days.client_cost_usd, 0) <> coalesce(calls.client_cost_usd, 0)
