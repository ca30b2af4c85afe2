{#-
    Grain: one row per team with credits, at the last complete day.

    Burn is what the last complete days used, as many as the burn window has; a team with a shorter history
    is not projected. Without use nothing runs out.
-#}
with

projected as (

    select * from {{ ref('int_alert_days_left') }}

),

measured as (

    select
        'team' as scope_kind,
        team_id as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        organization_id,
        'days until the credits end' as measure,
        days_left as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        credits_burned as volume,
        data_as_of - {{ var('alert_exhaustion_min_days') }} * interval '1 day' as window_start,
        data_as_of as window_end,
        data_as_of,
        case
            when credits_remaining is null then 'its credits are not known'
            when coalesce(history_days, 0) < {{ var('alert_exhaustion_min_days') }}
                then 'fewer than {{ var("alert_exhaustion_min_days") }} days of history'
        end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        -- what has ended is credit_critical's
        credits_remaining > 0 as is_supported,
        coalesce(credits_burned <= 0, false) as burns_nothing,
        -- below seven days, not at seven
        cast({{ var('alert_exhaustion_fires_days') }} - 0.00000001 as numeric(28, 8)) as fires_at

    from projected

)

{{ alert_candidates_of(
    'measured',
    rule='credit_exhaustion_projected',
    fires='<=',
    threshold='fires_at',
    clear_threshold=var('alert_exhaustion_clears_days') ~ ' - 0.00000001',
    clear_when='measured.burns_nothing',
    evidence="select period_start_date, credits_used, credits_allocated, credits_purchased, closing_balance "
    ~ "from marts.credit_usage_daily where team_id = $scope_id "
    ~ "and period_start_date < cast($window_end as date) order by period_start_date desc limit 5",
    counted_unit="'credits'",
) }}
