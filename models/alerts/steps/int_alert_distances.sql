{#-
    Grain: one row per scope, measure and complete day of the baseline's weeks: its value, what is usual for
    its weekday, and the ratio of the two.
-#}
{%- set smoothings = {'jobs': 1, 'calls': 5, 'client cost': 0.1} -%}
with

daily as (

    select
        daily.*,
        daily.value_date = moment.last_complete_date as is_last,
        {{ day_count('daily.first_active_date', 'moment.last_complete_date') }}
        >= 7 * {{ var('alert_spike_min_weeks') }} as has_weeks,
        cast(
            case daily.measure
                {%- for measure, smoothing in smoothings.items() %}
                when '{{ measure }}' then {{ smoothing }}
                {%- endfor %}
            end as numeric(4, 2)
        ) as smoothing

    from {{ ref('int_alert_daily_values') }} as daily
    cross join {{ ref('int_alert_moment') }} as moment

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

final as (

    select
        *,
        {{ exact_ratio(
            'greatest(value, usual_value) + smoothing', 'least(value, usual_value) + smoothing', 8
        ) }} as distance

    from compared

)

select * from final
