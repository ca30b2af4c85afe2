{#-
    Grain: one row per monthly review, month of the twelve up to it, and place: the share
    of the client cost of the models that cost most over all of them; the others as one.
-#}
{{ replaced_when_reviewed() }}
{%- set listed_models = review_rule('listed_model_shares') -%}
with

costs as (

    select * from {{ ref('int_model_costs_by_month') }}
    where {{ is_made_anew() }}

),

models as (

    select
        {{ review_keys() }},
        period_start_date,
        model,
        row_number() over (
            partition by {{ review_keys() }}, period_start_date
            order by sum(client_cost_usd) desc, model asc
        ) as model_rank

    from costs
    group by {{ review_keys() }}, period_start_date, model

),

folded as (

    select
        {{ review_keys('costs') }},
        costs.period_start_date,
        costs.month_start_date,
        least(models.model_rank, {{ listed_models + 1 }}) as list_position,
        max(case when models.model_rank <= {{ listed_models }} then costs.model end) as model,
        sum(costs.client_cost_usd) as client_cost_usd

    from costs

    inner join models
        on
            {{ same_review('costs', 'models') }}
            and costs.model = models.model

    group by
        {{ review_keys('costs') }},
        costs.period_start_date,
        costs.month_start_date,
        least(models.model_rank, {{ listed_models + 1 }})

),

shared as (

    select
        *,
        sum(client_cost_usd) over (
            partition by {{ review_keys() }}, period_start_date, month_start_date
        ) as month_cost_usd

    from folded

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        month_start_date,
        cast(list_position as integer) as list_position,
        model,
        cast(client_cost_usd as numeric(28, 8)) as client_cost_usd,
        {{ ratio('client_cost_usd', 'month_cost_usd') }} as cost_share

    from shared

)

select * from final
