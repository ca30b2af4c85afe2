{#-
    Grain: one row per review with calls in both periods, and step from the previous
    client cost to this one, in whole cents.

    volume: as many more calls of the same kind; mix: other models (a new model is mix as
    a whole); tokens: more of them in a call; price: the rest, of a token. The steps add
    up to the difference of the two printed totals: price takes what rounding leaves.
-#}
{{ replaced_when_reviewed() }}
with

models as (

    select * from {{ ref('int_review_parts') }}
    where dimension = 'model'

),

priced as (

    select
        *,
        cast(coalesce(client_cost_usd, 0) as numeric(28, 8)) as cost,
        cast(coalesce(previous_client_cost_usd, 0) as numeric(28, 8)) as previous_cost,
        {{ money_ratio('priced_call_count', 'previous_priced_call_count') }} as call_growth,
        {{ money_ratio('total_tokens', 'previous_total_tokens') }} as token_growth

    from models

),

parts as (

    select
        {{ review_keys() }},
        period_start_date,
        cost,
        previous_cost,
        priced_call_count,
        previous_priced_call_count,
        -- this period's calls at the model's former price of a call; a new model at its own
        case when previous_priced_call_count > 0
            then cast(previous_cost * call_growth as numeric(28, 8)) else cost
        end as cost_at_former_call,
        -- this period's tokens at the model's former price of a token
        case
            when not previous_priced_call_count > 0 then cost
            when previous_total_tokens > 0 and previous_cost > 0
                then cast(previous_cost * token_growth as numeric(28, 8))
            else cast(previous_cost * call_growth as numeric(28, 8))
        end as cost_at_former_token

    from priced

),

totals as (

    select
        {{ review_keys() }},
        period_start_date,
        cast(sum(cost) as numeric(28, 2)) as current_usd,
        cast(sum(previous_cost) as numeric(28, 2)) as previous_usd,
        cast({{ money_ratio('sum(previous_cost) * sum(priced_call_count)', 'sum(previous_priced_call_count)') }}
            as numeric(28, 2)) as at_former_volume_usd,
        cast(sum(cost_at_former_call) as numeric(28, 2)) as at_former_call_usd,
        cast(sum(cost_at_former_token) as numeric(28, 2)) as at_former_token_usd

    from parts
    group by {{ review_keys() }}, period_start_date
    having sum(priced_call_count) > 0 and sum(previous_priced_call_count) > 0

),

final as (

    {% for step, amount in [
        ('previous', 'previous_usd'),
        ('volume', 'at_former_volume_usd - previous_usd'),
        ('mix', 'at_former_call_usd - at_former_volume_usd'),
        ('tokens', 'at_former_token_usd - at_former_call_usd'),
        ('price', 'current_usd - at_former_token_usd'),
        ('current', 'current_usd'),
    ] -%}
    select
        {{ review_keys() }},
        period_start_date,
        {{ loop.index }} as step_position,
        '{{ step }}' as step,
        cast({{ amount }} as numeric(28, 2)) as amount_usd

    from totals
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
