{#-
    Grain: one row per scope and measure with its value of the last complete day, what that weekday usually
    has, and how far its days usually are from that.

    Usual is the median of the same weekday, the day itself left out; with less than three weeks behind it,
    the median of all days. Distances are ratios, larger over smaller, after something small is added to
    both: their median is the robust spread, and the power of it that is z robust standard deviations is the
    largest usual ratio (in logarithms that is the median of the absolute deviations).
-#}
with

distances as (

    select * from {{ ref('int_alert_distances') }}

),

spreads as (

    select
        scope_kind,
        scope_id,
        measure,
        percentile_disc(0.5) within group (order by distance) as usual_distance

    from distances
    where not is_last and distance is not null
    group by scope_kind, scope_id, measure

),

final as (

    select
        distances.scope_kind,
        distances.scope_id,
        distances.organization_id,
        distances.measure,
        distances.value_date,
        distances.value,
        distances.usual_value,
        distances.distance,
        coalesce(distances.day_count, 0) as day_count,
        -- 1.4826 median absolute deviations are a standard deviation
        cast(
            power(least(spreads.usual_distance, 100), {{ var('alert_spike_z') }} * 1.4826) as numeric(28, 8)
        ) as largest_usual_distance

    from distances

    -- a scope of one day
    left join spreads
        on
            distances.scope_kind = spreads.scope_kind
            and distances.scope_id = spreads.scope_id
            and distances.measure = spreads.measure

    where distances.is_last

)

select * from final
