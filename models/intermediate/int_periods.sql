{#-
    Grain: one row per period type (day, week, month) and period that the days of
    dim_dates touch, with its bounds as UTC instants.
-#}
{{ config(tags=['each_build']) }}
with

days as (

    select calendar_date from {{ ref('dim_dates') }}

),

starts as (

    {% for period_type in ['day', 'week', 'month'] %}
    select distinct
        '{{ period_type }}' as period_type,
        {{ period_start('calendar_date', period_type) }} as period_start_date,
        {{ period_end(period_start('calendar_date', period_type), period_type) }} as period_end_date

    from days
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

bounded as (

    select
        *,
        {{ day_start('period_start_date') }} as starts_at,
        {{ day_start('period_end_date') }} as ends_at

    from starts

),

final as (

    select
        period_type,
        period_start_date,
        period_end_date,
        ends_at <= covered_until as is_complete,
        {{ microseconds_between('starts_at', 'least(ends_at, ' ~ as_of() ~ ')') }} as elapsed_microseconds

    from bounded

    cross join {{ ref('int_coverage') }}

)

select * from final
