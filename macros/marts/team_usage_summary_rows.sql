{#-
    Rows of compat.team_usage_summaries for one period type (day, month), in a partial build the touched ones;
    `period_length` is how much of the period's first date names it.
-#}
{%- macro team_usage_summary_rows(period_type, period_length) -%}
    {%- set summarised_type = {'day': 'daily', 'month': 'monthly'}[period_type] -%}
    select
        usage.team_id || ':' || substr(cast(usage.period_start_date as {{ dbt.type_string() }}), 1, {{ period_length }})
        as id,
        usage.team_id,
        substr(cast(usage.period_start_date as {{ dbt.type_string() }}), 1, {{ period_length }}) as period,
        '{{ summarised_type }}' as period_type,
        usage.job_count as total_jobs,
        usage.completed_job_count as successful_jobs,
        usage.failed_job_count as failed_jobs,
        usage.cancelled_job_count as cancelled_jobs,
        usage.client_cost_usd as total_cost_usd,
        usage.total_tokens,
        coalesce(breakdown.job_type_breakdown, '{}') as job_type_breakdown,
        {{ as_of() }} as calculated_at

    from {{ ref('team_usage_' ~ summarised_type) }} as usage

    -- a team with credits only has no job types
    left join {{ ref('int_job_type_breakdowns_by_' ~ period_type) }} as breakdown
        on
            usage.team_id = breakdown.team_id
            and usage.period_start_date = breakdown.period_start_date

    where {{ is_touched('usage.period_start_date', period_type) }}
{%- endmacro -%}

{#- Each team's job types of a period as JSON text, in order, for one period type (day, month). -#}
{%- macro job_type_breakdowns_by_period(period_type) -%}
{{ replaced_when_touched('period_start_date', period_type) }}
select
    team_id,
    period_start_date,
    '{' || {{ dbt.listagg(
        json_text('job_type') ~ " || ': {\"count\": ' || cast(job_count as " ~ dbt.type_string() ~ ")"
        ~ " || ', \"cost_usd\": ' || coalesce(" ~ money_text('client_cost_usd') ~ ", 'null') || '}'",
        "', '",
        "order by job_type"
    ) }} || '}' as job_type_breakdown

from {{ ref('job_type_usage_' ~ {'day': 'daily', 'month': 'monthly'}[period_type]) }}
where
    {{ is_touched('period_start_date', period_type) }}
    and (job_count > 0 or call_count > 0)
group by team_id, period_start_date
{%- endmacro -%}
