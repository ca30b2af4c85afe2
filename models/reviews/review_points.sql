{#- Grain: one row per review, metric and period of its sparkline. -#}
{{ replaced_when_reviewed() }}

{#- the periods of the baseline and the review's own -#}
{%- set periods_shown = review_rule('baseline_periods') + 1 -%}

with

numbered as (

    select
        {{ review_keys() }},
        period_start_date,
        metric,
        metric_value,
        row_number() over (
            partition by {{ review_keys() }}, metric
            order by period_start_date
        ) as period_number

    from {{ ref('review_values') }}
    where {{ is_near_reviews(before=periods_shown) }}

),

reviewed as (

    select numbered.*

    from numbered

    inner join {{ ref('int_reviews') }} as reviews
        on {{ same_review('numbered', 'reviews') }}

    where {{ is_made_anew('reviews') }}

),

final as (

    select
        {{ review_keys('reviewed') }},
        reviewed.period_start_date,
        reviewed.metric,
        -- the review's own period has the last place, whatever is missing before it
        cast({{ periods_shown }} - (reviewed.period_number - points.period_number) as integer) as position,
        points.period_start_date as point_start_date,
        points.metric_value as value

    from reviewed

    inner join numbered as points
        on
            {{ same_review('reviewed', 'points', period=false) }}
            and reviewed.metric = points.metric
            and reviewed.period_number >= points.period_number
            and reviewed.period_number < points.period_number + {{ periods_shown }}

)

select * from final
