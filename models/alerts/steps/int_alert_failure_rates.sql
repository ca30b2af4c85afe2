{#-
    Grain: one row per scope and measure that was active in the last seven days, or usually is, with its
    failure rate in the shortest window that holds enough, and the place among its scope's measures: 1 is the
    one that is worse off.
-#}
{%- set fires = "cast(" ~ var('alert_error_rate_fires') ~ " as numeric(28, 8))" -%}
{%- set clears = "cast(" ~ var('alert_error_rate_clears') ~ " as numeric(28, 8))" -%}
with

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

    {{ join_alert_overrides('windowed', 'error_rate_high') }}

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

final as (

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

)

select * from final
