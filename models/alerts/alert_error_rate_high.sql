{#-
    Grain: one row per platform, organization, team and job type that finished a job or made a call in the
    last seven days, or usually does.

    Jobs and calls are looked at; the row is of the one that is worse off. The window is the shortest of a
    day, three days and a week that holds enough of them, so that a small team's failures are seen too.
-#}
{%- set fires = "cast(" ~ var('alert_error_rate_fires') ~ " as numeric(28, 8))" -%}
{%- set clears = "cast(" ~ var('alert_error_rate_clears') ~ " as numeric(28, 8))" -%}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

overrides as (

    select * from {{ ref('alert_overrides') }}
    where rule = 'error_rate_high'

),

windowed as (

    select * from {{ ref('int_alert_outcomes') }}

),

chosen as (

    select
        windowed.*,
        case
            when total_of_day >= minimum_volume then 24
            when total_of_three_days >= minimum_volume then 72
            else 168
        end as window_hours,
        greatest(coalesce(overrides.threshold, {{ fires }}), coalesce(usual_rate, 0)) as threshold,
        greatest(coalesce(overrides.clear_threshold, {{ clears }}), coalesce(usual_rate, 0)) as clear_threshold

    from windowed

    -- most scopes have the threshold of the rule
    left join overrides
        on
            windowed.scope_kind = overrides.scope_kind
            and windowed.scope_id = overrides.scope_id

),

counted as (

    select
        *,
        {%- for column in ['total', 'failed', 'failed_jobs'] %}
        cast(
            case window_hours
                when 24 then {{ column }}_of_day when 72 then {{ column }}_of_three_days else {{ column }}_of_week
            end as numeric(18, 0)
        ) as {{ column }}_count
        {%- if not loop.last %},{% endif %}
        {%- endfor %}

    from chosen

),

judged as (

    select
        *,
        {{ exact_ratio('failed_count', 'total_count', 8) }} as failure_rate,
        total_count >= minimum_volume
        and {{ significantly_above('failed_count', 'total_count', 'threshold') }}
        and failed_jobs_count >= {{ var('alert_min_jobs') }}
        -- it still goes on
        and failed_of_day >= 2
        and failed_of_day > threshold * total_of_day as is_supported,
        total_of_hour >= minimum_volume
        and {{ significantly_above('failed_of_hour', 'total_of_hour', 'threshold') }} as is_acute

    from counted

),

ranked as (

    select
        *,
        row_number() over (
            partition by scope_kind, scope_id
            order by
                case
                    when is_supported then 1
                    when failure_rate > clear_threshold then 2
                    when failure_rate is not null then 3
                    else 4
                end,
                measure desc
        ) as place

    from judged

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
        cast(ranked.total_count as bigint) as volume,
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
    evidence="select error_class, count(*) as failed_jobs, min(created_at) as first_at, max(created_at) as last_at, "
    ~ "min(job_id) as example_job_id from marts.fct_jobs where outcome = 'failed' "
    ~ "and $scope_id in ('platform', organization_id, team_id, job_type) "
    ~ "and created_at >= $window_start and created_at < $window_end "
    ~ "group by error_class order by failed_jobs desc, error_class limit 5",
) }}
