{#-
    Grain: one row per scope and measure with how often it usually fails, before the moment of evaluation.

    Over the baseline days, without those on which it failed so often that it was an incident. A scope that
    is too young or too quiet has no usual rate.
-#}
with

days as (

    select
        outcomes.*,
        moment.evaluated_date

    from {{ ref('int_outcomes_by_day') }} as outcomes
    cross join {{ ref('int_alert_moment') }} as moment
    where
        outcomes.outcome_date
        >= moment.evaluated_date - {{ var('alert_baseline_days') + var('alert_baseline_gap_days') }}
        and outcomes.outcome_date < moment.evaluated_date - {{ var('alert_baseline_gap_days') }}

),

scoped as (
    {{ by_alert_scope(
        'days', ['outcome_date', 'finished_job_count', 'failed_job_count', 'call_count', 'failed_call_count']
    ) }}
),

measured as (

    select
        scope_kind,
        scope_id,
        outcome_date,
        'finished jobs' as measure,
        {{ var('alert_error_rate_min_finished') }} as minimum_volume,
        cast(sum(finished_job_count) as numeric(18, 0)) as total_count,
        cast(sum(failed_job_count) as numeric(18, 0)) as failed_count

    from scoped
    group by scope_kind, scope_id, outcome_date

    union all

    select
        scope_kind,
        scope_id,
        outcome_date,
        'calls' as measure,
        {{ var('alert_error_rate_min_calls') }} as minimum_volume,
        cast(sum(call_count) as numeric(18, 0)) as total_count,
        cast(sum(failed_call_count) as numeric(18, 0)) as failed_count

    from scoped
    group by scope_kind, scope_id, outcome_date

),

quiet as (

    select * from measured
    where
        total_count < minimum_volume
        or not {{ significantly_above('failed_count', 'total_count', var('alert_error_rate_fires')) }}

),

final as (

    select
        scope_kind,
        scope_id,
        measure,
        {{ exact_ratio('sum(failed_count)', 'sum(total_count)', 8) }} as usual_rate

    from quiet
    group by scope_kind, scope_id, measure
    having
        sum(total_count) >= 2 * max(minimum_volume)
        and {{ day_count('min(outcome_date)', 'max(outcome_date)') }} + 1 >= {{ var('alert_baseline_min_days') }}

)

select * from final
