{#- The cost, job and credit columns that the review's lists of teams and of job types share. -#}
{%- macro review_cost_and_jobs(relation) -%}
    {{ review_costs(relation) }},
        cast({{ relation }}.job_count as bigint) as job_count,
        cast({{ relation }}.previous_job_count as bigint) as previous_job_count,
        cast({{ relation }}.failed_job_count as bigint) as failed_job_count,
        {{ ratio(
            relation ~ '.failed_job_count',
            '(' ~ relation ~ '.completed_job_count + ' ~ relation ~ '.failed_job_count + '
            ~ relation ~ '.cancelled_job_count)'
        ) }} as failure_rate,
        {{ money_ratio(relation ~ '.client_cost_usd', relation ~ '.job_count') }} as avg_cost_per_job_usd,
        cast({{ relation }}.credits_used as bigint) as credits_used
{%- endmacro -%}

{#- Client cost beside the period before; the change is a fraction, null where there was nothing to change. -#}
{%- macro review_costs(relation) -%}
    {%- set cost = relation ~ '.client_cost_usd' -%}
    {%- set previous = relation ~ '.previous_client_cost_usd' -%}
    cast({{ cost }} as numeric(28, 8)) as client_cost_usd,
        cast({{ previous }} as numeric(28, 8)) as previous_client_cost_usd,
        {{ ratio('(' ~ cost ~ ' - ' ~ previous ~ ')', previous) }} as cost_change
{%- endmacro -%}
