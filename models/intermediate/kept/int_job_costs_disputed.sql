{#- Grain: one row per job whose platform summary disagrees with the job's own calls. -#}
{{ replaced_when_touched('job_date', 'day') }}
with

summaries as (

    select * from {{ ref('stg_saas__job_cost_summaries') }}
    where
        calculated_at is null
        or {{ is_touched('calculated_at', 'read_summaries') }}

),

jobs as (

    select
        job_id,
        team_id,
        organization_id,
        call_count,
        failed_call_count,
        total_tokens,
        client_cost_usd,
        unpriced_call_count,
        job_date,
        created_at

    from {{ ref('fct_jobs') }}
    where {{ is_touched('job_date', 'day') }}

),

compared as (

    select
        jobs.job_id,
        jobs.team_id,
        jobs.organization_id,
        jobs.client_cost_usd as expected,
        summaries.cost_usd as actual,
        jobs.unpriced_call_count,
        jobs.call_count as expected_call_count,
        summaries.call_count as actual_call_count,
        jobs.failed_call_count as expected_failed_call_count,
        summaries.failed_call_count as actual_failed_call_count,
        jobs.total_tokens as expected_total_tokens,
        summaries.total_tokens as actual_total_tokens,
        jobs.job_date,
        jobs.created_at,
        -- a job none of whose calls has a known cost cannot prove a summary wrong
        coalesce(
            abs(summaries.cost_usd - jobs.client_cost_usd) > {{ var('summary_tolerance_usd') }}, false
        ) as is_cost_wrong,
        (
            coalesce(summaries.call_count, 0) <> jobs.call_count
            or coalesce(summaries.failed_call_count, 0) <> jobs.failed_call_count
        ) as is_call_count_wrong,
        coalesce(coalesce(summaries.total_tokens, 0) <> jobs.total_tokens, false) as is_token_count_wrong

    from jobs

    inner join summaries
        on jobs.job_id = summaries.job_id

),

final as (

    select
        job_id,
        team_id,
        organization_id,
        is_cost_wrong,
        is_call_count_wrong,
        is_token_count_wrong,
        expected,
        actual,
        unpriced_call_count,
        expected_call_count,
        actual_call_count,
        expected_failed_call_count,
        actual_failed_call_count,
        expected_total_tokens,
        actual_total_tokens,
        job_date,
        created_at

    from compared
    where
        is_cost_wrong
        or is_call_count_wrong
        or is_token_count_wrong

)

select * from final
