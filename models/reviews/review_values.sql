{#-
    Grain: one row per kind of review, scope, period and metric.

    From the first touched period on they are made anew: a scope's first day, when it moves, moves all later ones.
-#}
{{ replaced_when_one_touched(review_periods_touched()) }}
with

metric_values as (

    select * from {{ ref('int_scope_metrics') }}
    where {{ is_one_touched(review_periods_touched()) }}

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        period_end_date,
        metric,
        is_complete,
        is_comparable,
        metric_value,
        observation_count,
        metric_value is not null
        and coalesce(observation_count >= {{ review_rule('minimum_observations') }}, true) as is_judged,
        {{ as_of() }} as built_at_as_of

    from metric_values

)

select * from final
