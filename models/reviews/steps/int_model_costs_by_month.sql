{#- Grain: one row per monthly review, month of the twelve up to it, and model called in it: its client cost. -#}
with

reviews as (

    select
        *,
        {{ earlier_period('period_start_date', 'review_kind', review_rule('trend_months') - 1) }} as first_month

    from {{ ref('int_reviews') }}
    where
        review_kind = 'monthly'
        and is_complete

),

costs as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        reviews.is_made_anew,
        parts.period_start_date as month_start_date,
        parts.part_name as model,
        coalesce(parts.client_cost_usd, 0) as client_cost_usd

    from reviews

    inner join {{ ref('int_scope_parts') }} as parts
        on
            {{ same_review('reviews', 'parts', period=false) }}
            and reviews.first_month <= parts.period_start_date
            and reviews.period_start_date >= parts.period_start_date
            and parts.dimension = 'model'

)

select * from costs
