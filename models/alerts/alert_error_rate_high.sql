{#-
    Grain: one row per platform, organization, team and job type that finished a job or made a call in the
    last seven days, or usually does.

    Jobs and calls are looked at; the row is of the one that is worse off. The window is the shortest of a
    day, three days and a week that holds enough of them, so that a small team's failures are seen too.
-#}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

ranked as (

    select * from {{ ref('int_alert_failure_rates') }}

),

measured as (

    select
        ranked.scope_kind,
        ranked.scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        ranked.organization_id,
        'failed share of ' || ranked.measure as measure,
        ranked.failure_rate as observed_value,
        ranked.usual_rate as baseline_value,
        ranked.total_count as volume,
        ranked.measure as volume_unit,
        moment.evaluated_at - ranked.window_hours * interval '1 hour' as window_start,
        moment.evaluated_at as window_end,
        moment.data_as_of,
        case when ranked.total_count = 0 then 'nothing finished in seven days' end as unknown_reason,
        case when ranked.is_acute then 'error' end as severity,
        ranked.is_supported,
        ranked.threshold as own_threshold,
        ranked.clear_threshold as own_clear_threshold

    from ranked
    cross join moment
    where ranked.place = 1

)

{{ alert_candidates_of(
    'measured',
    rule='error_rate_high',
    fires='>',
    threshold='own_threshold',
    clear_threshold='own_clear_threshold',
    evidence={
        'failed share of finished jobs': evidence_of_failed_jobs(),
        'failed share of calls': evidence_of_failed_calls(),
    },
    takes_overrides=false,
    counted_unit='measured.volume_unit',
) }}
