{#- Grain: one row per complete week: how fresh each source is, and what its figures leave out. -#}
with

weeks as (

    select * from {{ ref('platform_usage_weekly') }}

),

newest_jobs as (

    select max(created_at) as newest_job_at from {{ ref('fct_jobs') }}

),

newest_calls as (

    select max(created_at) as newest_call_at from {{ ref('fct_llm_calls') }}

),

newest_ledger_rows as (

    select max(created_at) as newest_ledger_row_at from {{ ref('fct_credit_transactions') }}

),

final as (

    select
        weeks.period_start_date,
        newest_jobs.newest_job_at,
        newest_calls.newest_call_at,
        newest_ledger_rows.newest_ledger_row_at,
        weeks.unpriced_call_count,
        weeks.open_job_count,
        weeks.built_at_as_of

    from weeks

    cross join newest_jobs

    cross join newest_calls

    cross join newest_ledger_rows

    where weeks.is_complete

)

select * from final
