-- I13: the platform has one row for each day from the first activity to as_of, and none
-- later; facts are looked at of touched days. Returns days that are missing, or that should not be.
with

days as (

    select
        period_start_date,
        lead(period_start_date) over (order by period_start_date) as next_date

    from {{ ref('platform_usage_daily') }}

),

facts as (

    select job_date as activity_date
    from {{ ref('fct_jobs') }}
    where {{ is_touched('job_date', 'day') }}

    union

    select call_date as activity_date
    from {{ ref('fct_llm_calls') }}
    where {{ is_touched('call_date', 'day') }}

    union

    select transaction_date as activity_date
    from {{ ref('fct_credit_transactions') }}
    where {{ is_touched('transaction_date', 'ledger_day') }}

)

select
    period_start_date,
    next_date

from days
where
    next_date <> cast(period_start_date + interval '1 day' as date)
    or period_start_date > {{ local_date(as_of() ~ " - interval '1 microsecond'") }}

union all

select
    facts.activity_date as period_start_date,
    cast(null as date) as next_date

from facts

left join days
    on facts.activity_date = days.period_start_date

where days.period_start_date is null

union all

select
    max(period_start_date) as period_start_date,
    {{ local_date(as_of() ~ " - interval '1 microsecond'") }} as next_date

from days
having max(period_start_date) <> {{ local_date(as_of() ~ " - interval '1 microsecond'") }}
