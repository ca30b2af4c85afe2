{#-
    Grain: one row per review, dimension (model, team, job_type) and part active in the period
    or in the one before: all of what the lists fold, for the table that goes with them.
-#}
{%- set call_measures = ['client_cost_usd', 'call_count', 'failed_call_count'] -%}
{%- set job_measures = ['job_count', 'failed_job_count', 'credits_used'] -%}
with

models as (

    {{ beside_previous_period('model', call_measures, ['client_cost_usd'], only='calls') }}

),

teams as (

    {{ beside_previous_period(
        'team_id', call_measures + job_measures, ['client_cost_usd'], condition="reviews.scope_kind <> 'team'"
    ) }}

),

job_types as (

    {{ beside_previous_period('job_type', call_measures + job_measures, ['client_cost_usd']) }}

),

final as (

    {% for dimension in ['model', 'team', 'job_type'] -%}
    select
        {{ review_keys() }},
        period_start_date,
        '{{ dimension }}' as dimension,
        part_name,
        cast(client_cost_usd as numeric(28, 8)) as client_cost_usd,
        cast(previous_client_cost_usd as numeric(28, 8)) as previous_client_cost_usd,
        cast(call_count as bigint) as call_count,
        cast(failed_call_count as bigint) as failed_call_count,
        {%- for measure in job_measures %}
        -- a job and a ledger row have no model
        cast({{ 'null' if dimension == 'model' else measure }} as bigint) as {{ measure }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}

    from {{ dimension }}s
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
