{#-
    Grain: one row per review, dimension (model, team, job_type) and part active in the period
    or in the one before: all of what the lists fold, for the table that goes with them.
-#}
{{ replaced_when_reviewed() }}
with

parts as (

    select * from {{ ref('int_review_parts') }}

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        dimension,
        part_name,
        client_cost_usd,
        previous_client_cost_usd,
        call_count,
        failed_call_count,
        {%- for measure in ['job_count', 'failed_job_count', 'credits_used'] %}
        -- a job and a ledger row have no model
        case when dimension <> 'model' then {{ measure }} end as {{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}

    from parts

)

select * from final
