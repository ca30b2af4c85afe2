{#- Grain: one row per review, dimension (model, team, job_type) and part active in the period or before. -#}
{%- set cost = ['client_cost_usd'] -%}
with

models as (

    {{ beside_previous_period('model', cost, cost, only='calls') }}

),

teams as (

    {{ beside_previous_period('team_id', cost, cost, condition="reviews.scope_kind <> 'team'") }}

),

job_types as (

    {{ beside_previous_period('job_type', cost, cost) }}

),

parts as (

    {% for dimension, relation in [('model', 'models'), ('team', 'teams'), ('job_type', 'job_types')] -%}
    select
        {{ review_keys() }},
        period_start_date,
        '{{ dimension }}' as dimension,
        part_name,
        client_cost_usd,
        previous_client_cost_usd

    from {{ relation }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

known as (

    select
        {{ review_keys() }},
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
            partition by {{ review_keys() }}, period_start_date, dimension
            order by abs(client_cost_usd - previous_client_cost_usd) desc, part_name asc
        ) as integer) as part_rank

    from known

)

select * from final
