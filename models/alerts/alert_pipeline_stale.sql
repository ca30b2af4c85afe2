{#-
    Grain: one row for the published night, and one per source table whose rows come every day.

    A table is silent when it has had no new row for longer than a night may be old, although that weekday
    usually brings many.
-#}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

published as (

    select max(built_at_as_of) as published_as_of from {{ ref('platform_usage_daily') }}

),

newest as (

    select * from {{ ref('int_alert_newest_rows') }}

),

measured as (

    select
        'platform' as scope_kind,
        'platform' as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        cast(null as {{ dbt.type_string() }}) as organization_id,
        'age of the published night' as measure,
        {{ exact_ratio(
            microseconds_between('published.published_as_of', 'moment.evaluated_at'), '3600000000', 8
        ) }} as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(null as bigint) as volume,
        published.published_as_of as window_start,
        moment.evaluated_at as window_end,
        moment.evaluated_at as data_as_of,
        case
            when published.published_as_of > moment.evaluated_at
                then 'the night of that moment is no longer there'
        end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        true as is_supported

    from published
    cross join moment

    union all

    select
        'table' as scope_kind,
        newest.table_name as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        cast(null as {{ dbt.type_string() }}) as organization_id,
        'hours without a new row' as measure,
        {{ exact_ratio(microseconds_between('newest.newest_at', 'moment.data_as_of'), '3600000000', 8) }}
        as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(null as bigint) as volume,
        newest.newest_at as window_start,
        moment.data_as_of as window_end,
        moment.data_as_of,
        case
            when newest.newest_at is null then 'it has no row at all'
            when {{ is_nan('newest.usual_row_count') }} then 'what its weekday brings is not a number'
        end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        coalesce(newest.usual_row_count >= {{ var('alert_source_silent_rows') }}, false) as is_supported

    from newest
    cross join moment

)

{{ alert_candidates_of(
    'measured',
    rule='pipeline_stale',
    fires='>',
    threshold=var('alert_pipeline_stale_hours'),
    clear_threshold=var('alert_pipeline_stale_hours'),
    evidence="select period_start_date, job_count, call_count, built_at_as_of from marts.platform_usage_daily "
    ~ "where period_start_date < cast($window_end as date) + 1 "
    ~ "order by period_start_date desc limit 5",
) }}
