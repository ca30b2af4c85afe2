{#-
    Grain: one row per complete week, dimension (model, team, job_type) and part active in
    it or in the week before.
-#}

{%- set cost = ['client_cost_usd'] -%}

with

models as (

    {{ beside_previous_week(ref('model_performance_weekly'), ['model'], cost, cost) }}

),

teams as (

    {{ beside_previous_week(ref('team_usage_weekly'), ['team_id'], cost, cost) }}

),

job_types as (

    {{ beside_previous_week(ref('job_type_usage_weekly'), ['job_type'], cost, cost) }}

),

parts as (

    {% for dimension, relation, key in [
        ('model', 'models', 'model'), ('team', 'teams', 'team_id'), ('job_type', 'job_types', 'job_type'),
    ] -%}
    select
        period_start_date,
        '{{ dimension }}' as dimension,
        {{ key }} as part_name,
        client_cost_usd,
        previous_client_cost_usd

    from {{ relation }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

known as (

    select
        period_start_date,
        dimension,
        part_name,
        -- calls without a known price are in no cost
        cast(coalesce(client_cost_usd, 0) as numeric(28, 8)) as client_cost_usd,
        cast(coalesce(previous_client_cost_usd, 0) as numeric(28, 8)) as previous_client_cost_usd

    from parts

),

final as (

    select
        *,
        cast(row_number() over (
            partition by period_start_date, dimension
            order by abs(client_cost_usd - previous_client_cost_usd) desc, part_name asc
        ) as integer) as part_rank

    from known

)

select * from final
