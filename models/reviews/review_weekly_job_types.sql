{#- Grain: one row per complete week and place: the job types by client cost, then everything else as one. -#}

{%- set listed_types = review_rule('listed_job_types') -%}
{%- set measures = [
    'client_cost_usd', 'job_count', 'completed_job_count', 'failed_job_count', 'cancelled_job_count', 'credits_used',
] -%}
{%- set previous_measures = ['client_cost_usd', 'job_count'] -%}

with

job_types as (

    {{ beside_previous_week(ref('job_type_usage_weekly'), ['job_type'], measures, previous_measures) }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by period_start_date
            order by client_cost_usd desc nulls last, job_count desc, job_type asc
        ) as list_rank

    from job_types

),

folded as (

    select
        period_start_date,
        least(list_rank, {{ listed_types + 1 }}) as list_position,
        max(case when list_rank <= {{ listed_types }} then job_type end) as job_type,
        count(*) as member_count,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        {%- for measure in previous_measures %}
        sum(previous_{{ measure }}) as previous_{{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}

    from ranked
    group by period_start_date, least(list_rank, {{ listed_types + 1 }})

),

final as (

    select
        folded.period_start_date,
        cast(folded.list_position as integer) as list_position,
        case when folded.list_position <= {{ listed_types }} then 'member' else 'rest' end as row_kind,
        cast(folded.member_count as integer) as member_count,
        folded.job_type,
        {{ review_cost_and_jobs('folded') }}

    from folded

)

select * from final
