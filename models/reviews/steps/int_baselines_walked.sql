{#-
    Grain: one row per kind of review, scope, metric and comparable period: the periods
    that set the limits of the next one, summed, and the run that goes on.

    The first periods set trial limits, then lock them; from then on they stand still,
    whatever comes, until a run on one side of the mean or a known change begins a new
    baseline at its first period. A period without a judged value sets nothing.
    Periods are numbered from 1 in their order.

    Kept: a night walks on from the last period that ended before the touched days.
-#}
{{ replaced_when_touched('period_last_date', 'ledger_day') }}
{{ config(schema='kept') }}
{%- set money = 'numeric(28, 8)' -%}
{%- set locked_at = review_rule('baseline_periods') -%}
{%- set run_at = review_rule('run_periods') -%}
with recursive

{% if is_partial() -%}
kept as (

    {{ last_kept_baselines() }}

),

{% endif -%}
points as (

    {{ numbered_points(ref('int_baseline_points'), 'kept') }}

),

starts as (

    {{ baseline_starts('points', 'kept') }}

),

walk as (

    select * from starts

    union all

    select
        {{ review_keys('stepped') }},
        stepped.metric,
        stepped.point_number,
        stepped.period_start_date,
        stepped.period_last_date,
        cast(case
            when stepped.next_step = 'change' then case when stepped.metric_value is not null then 1 else 0 end
            when stepped.next_step = 'shift' then stepped.next_run_count
            when stepped.next_step = 'add' then stepped.period_count + 1
            else stepped.period_count
        end as integer) as period_count,
        cast(case
            when stepped.next_step = 'change' then coalesce(stepped.metric_value, 0)
            when stepped.next_step = 'shift' then stepped.next_run_sum
            when stepped.next_step = 'add' then stepped.value_sum + stepped.metric_value
            else stepped.value_sum
        end as {{ money }}) as value_sum,
        cast(case
            when stepped.next_step = 'change' then 0
            when stepped.next_step = 'shift' then stepped.next_run_range_count
            when stepped.next_step = 'add' and stepped.moving_range is not null then stepped.range_count + 1
            else stepped.range_count
        end as integer) as range_count,
        cast(case
            when stepped.next_step = 'change' then 0
            when stepped.next_step = 'shift' then stepped.next_run_range_sum
            when stepped.next_step = 'add' then stepped.range_sum + coalesce(stepped.moving_range, 0)
            else stepped.range_sum
        end as {{ money }}) as range_sum,
        stepped.metric_value as last_value,
        case
            when stepped.next_step = 'change' then stepped.period_start_date
            when stepped.next_step = 'shift' then stepped.next_run_start_date
            else stepped.baseline_start_date
        end as baseline_start_date,
        case
            when stepped.next_step = 'change' then 'known change'
            when stepped.next_step = 'shift' then 'shift'
            else stepped.reason
        end as reason,
        cast(case when stepped.next_step in ('change', 'shift') then 0 else stepped.side end as integer) as run_side,
        cast(case when stepped.next_step in ('change', 'shift') then 0 else stepped.next_run_count end as integer)
            as run_count,
        stepped.next_run_start_date as run_start_date,
        cast(stepped.next_run_sum as {{ money }}) as run_sum,
        cast(stepped.next_run_range_count as integer) as run_range_count,
        cast(stepped.next_run_range_sum as {{ money }}) as run_range_sum,
        cast(case when stepped.next_step = 'shift' then stepped.side else 0 end as integer) as shifted_side

    from ({{ baseline_step('walk', 'points', locked_at, run_at) }}) as stepped

)

select * from walk
where {{ is_touched('period_last_date', 'ledger_day') }}
