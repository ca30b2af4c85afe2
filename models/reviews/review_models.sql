{#- Grain: one row per review and place: the models by client cost, then everything else as one. -#}
{{ replaced_when_reviewed() }}

{%- set listed_models = review_rule('listed_models') -%}
{%- set costs = ['client_cost_usd', 'provider_cost_usd'] -%}
{%- set counts = ['call_count', 'failed_call_count'] -%}

with

models as (

    select * from {{ ref('int_review_parts') }}
    where dimension = 'model'

),

ranked as (

    select
        *,
        row_number() over (
            partition by {{ review_keys() }}, period_start_date
            order by client_cost_usd desc nulls last, call_count desc, part_name asc
        ) as list_rank

    from models

),

folded as (

    select
        {{ review_keys() }},
        period_start_date,
        least(list_rank, {{ listed_models + 1 }}) as list_position,
        max(case when list_rank <= {{ listed_models }} then part_name end) as model,
        count(*) as member_count,
        {%- for measure in costs + counts + ['previous_client_cost_usd', 'previous_call_count'] %}
        sum({{ measure }}) as {{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}

    from ranked
    group by {{ review_keys() }}, period_start_date, least(list_rank, {{ listed_models + 1 }})

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        cast(list_position as integer) as list_position,
        case when list_position <= {{ listed_models }} then 'member' else 'rest' end as row_kind,
        cast(member_count as integer) as member_count,
        model,
        {{ review_costs('folded') }},
        -- what providers charge is the platform's to see
        cast(case when scope_kind = 'platform' then provider_cost_usd end as numeric(28, 8)) as provider_cost_usd,
        cast(call_count as bigint) as call_count,
        cast(previous_call_count as bigint) as previous_call_count,
        cast(failed_call_count as bigint) as failed_call_count,
        {{ ratio('failed_call_count', 'call_count') }} as call_failure_rate,
        {{ money_ratio('client_cost_usd', 'call_count') }} as avg_cost_per_call_usd

    from folded

)

select * from final
