{#-
    Grain: one row per scope and measure (finished jobs, calls) of the seven days before the moment of
    evaluation, with what failed in the last hour, day, three and seven days.
-#}
{%- set windows = ['hour', 'day', 'three_days', 'week'] -%}
{%- set columns = ['measure', 'job_id'] -%}
{%- for name in windows -%}
    {%- do columns.extend(['total_of_' ~ name, 'failed_of_' ~ name]) -%}
{%- endfor -%}
with

jobs as (

    select * from {{ ref('int_alert_job_outcomes') }}

),

scoped as (
    {{ by_alert_scope('jobs', columns) }}
),

final as (

    select
        scope_kind,
        scope_id,
        measure,
        max(organization_id) as organization_id,
        {%- for name in windows %}
        cast(sum(total_of_{{ name }}) as bigint) as total_of_{{ name }},
        cast(sum(failed_of_{{ name }}) as bigint) as failed_of_{{ name }},
        count(case when failed_of_{{ name }} > 0 then job_id end) as failed_jobs_of_{{ name }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}

    from scoped
    group by scope_kind, scope_id, measure

)

select * from final
