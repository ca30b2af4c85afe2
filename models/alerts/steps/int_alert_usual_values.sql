{#-
    Grain: one row per scope and measure with its value of the last complete day, what that weekday usually
    has, and how far its days usually are from that.

    Usual is the median of the same weekday, the day itself left out; with less than three weeks behind it,
    the median of all days. Distances are ratios, larger over smaller, after something small is added to
    both: their median is the robust spread, and the power of it that is z robust standard deviations is the
    largest usual ratio (in logarithms that is the median of the absolute deviations).
-#}
{%- set smoothings = {'jobs': 1, 'calls': 5, 'client cost': 0.1} -%}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

daily as (

    select
        daily.*,
        daily.value_date = moment.last_complete_date as is_last,
        moment.last_complete_date - daily.first_active_date
        >= 7 * {{ var('alert_spike_min_weeks') }} as has_weeks,
        cast(
            case daily.measure
                {%- for measure, smoothing in smoothings.items() %} when '{{ measure }}' then {{ smoothing }}{% endfor %}
            end as numeric(4, 2)
        ) as smoothing

    from {{ ref('int_alert_daily_values') }} as daily
    cross join moment

),

weekdays as (

    select
        scope_kind,
        scope_id,
        measure,
        weekday,
        percentile_disc(0.5) within group (order by value) as usual_value

    from daily
    where not is_last and value is not null
    group by scope_kind, scope_id, measure, weekday

),

all_days as (

    select
        scope_kind,
        scope_id,
        measure,
        count(*) as day_count,
        percentile_disc(0.5) within group (order by value) as usual_value

    from daily
    where not is_last and value is not null
    group by scope_kind, scope_id, measure

),

compared as (

    select
        daily.*,
        all_days.day_count,
        case when daily.has_weeks then weekdays.usual_value else all_days.usual_value end as usual_value

    from daily

    -- the first day of a scope
    left join all_days
        on
            daily.scope_kind = all_days.scope_kind
            and daily.scope_id = all_days.scope_id
            and daily.measure = all_days.measure

    -- a weekday that the scope has not seen yet
    left join weekdays
        on
            daily.scope_kind = weekdays.scope_kind
            and daily.scope_id = weekdays.scope_id
            and daily.measure = weekdays.measure
            and daily.weekday = weekdays.weekday

),

distances as (

    select
        *,
        {{ exact_ratio(
            'greatest(value, usual_value) + smoothing', 'least(value, usual_value) + smoothing', 8
        ) }} as distance

    from compared

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
