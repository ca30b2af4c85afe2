{#-
    One step of the walk over a metric's periods: the state after a period, beside the
    next period's value; what to do with it is in next_step (change, shift, add, keep).

    A value on one side of the mean continues a run of that side, or begins one; the value
    itself is compared times the number of periods, so that nothing is divided here.
-#}
{%- macro baseline_step(walk, points, locked_at, run_at) -%}
    select
        ran.*,
        case
            when ran.is_changed then 'change'
            when ran.next_run_count >= {{ run_at }} then 'shift'
            when ran.metric_value is not null and ran.period_count < {{ locked_at }} then 'add'
            else 'keep'
        end as next_step

    from (
        select
            sided.*,
            case
                when sided.metric_value is null then sided.run_count
                when sided.side = 0 then 0
                when sided.side = sided.run_side then sided.run_count + 1
                else 1
            end as next_run_count,
            case
                when sided.metric_value is null or sided.side = sided.run_side then sided.run_start_date
                else sided.period_start_date
            end as next_run_start_date,
            case
                when sided.metric_value is null then sided.run_sum
                when sided.side = sided.run_side then sided.run_sum + sided.metric_value
                else sided.metric_value
            end as next_run_sum,
            case
                when sided.metric_value is null then sided.run_range_count
                when sided.side <> sided.run_side then 0
                when sided.moving_range is null then sided.run_range_count
                else sided.run_range_count + 1
            end as next_run_range_count,
            case
                when sided.metric_value is null then sided.run_range_sum
                when sided.side = sided.run_side then sided.run_range_sum + coalesce(sided.moving_range, 0)
                else 0
            end as next_run_range_sum

        from (
            select
                {{ review_keys(walk) }},
                {{ walk }}.metric,
                {{ points }}.point_number,
                {{ points }}.period_start_date,
                {{ points }}.period_last_date,
                {{ points }}.metric_value,
                {{ points }}.is_changed,
                abs({{ points }}.metric_value - {{ walk }}.last_value) as moving_range,
                {{ walk }}.period_count,
                {{ walk }}.value_sum,
                {{ walk }}.range_count,
                {{ walk }}.range_sum,
                {{ walk }}.baseline_start_date,
                {{ walk }}.reason,
                {{ walk }}.run_side,
                {{ walk }}.run_count,
                {{ walk }}.run_start_date,
                {{ walk }}.run_sum,
                {{ walk }}.run_range_count,
                {{ walk }}.run_range_sum,
                case
                    when {{ points }}.metric_value is null then {{ walk }}.run_side
                    when {{ walk }}.period_count < {{ review_rule('minimum_periods') }} then 0
                    when {{ points }}.metric_value * {{ walk }}.period_count > {{ walk }}.value_sum then 1
                    when {{ points }}.metric_value * {{ walk }}.period_count < {{ walk }}.value_sum then -1
                    else 0
                end as side

            from {{ walk }}

            inner join {{ points }}
                on
                    {{ same_review(walk, points, period=false) }}
                    and {{ walk }}.metric = {{ points }}.metric
                    and {{ walk }}.point_number + 1 = {{ points }}.point_number
        ) as sided
    ) as ran
{%- endmacro -%}

{#-
    Where the walk over a metric's periods begins: the state after its first period; in a partial build also where
    each walk was (`kept`: relation with the columns of last_kept_baselines).
-#}
{%- macro baseline_starts(points, kept) -%}
    {%- set money = 'numeric(28, 8)' -%}
    select
        {{ review_keys() }},
        metric,
        point_number,
        period_start_date,
        period_last_date,
        cast(case when metric_value is not null then 1 else 0 end as integer) as period_count,
        cast(coalesce(metric_value, 0) as {{ money }}) as value_sum,
        cast(0 as integer) as range_count,
        cast(0 as {{ money }}) as range_sum,
        metric_value as last_value,
        period_start_date as baseline_start_date,
        cast('first periods' as {{ dbt.type_string() }}) as reason,
        cast(0 as integer) as run_side,
        cast(0 as integer) as run_count,
        cast(null as date) as run_start_date,
        cast(0 as {{ money }}) as run_sum,
        cast(0 as integer) as run_range_count,
        cast(0 as {{ money }}) as run_range_sum,
        cast(0 as integer) as shifted_side

    from {{ points }}
    where point_number = 1
    {%- if is_partial() %}

    union all

    select * from {{ kept }}
    {%- endif %}
{%- endmacro -%}

{#-
    A select of a metric's touched periods with their numbers, which go on from those of the periods before them
    (`kept`: relation with the columns of last_kept_baselines, in a partial build).
-#}
{%- macro numbered_points(points, kept) -%}
    {%- set number = 'row_number() over (partition by ' ~ review_keys('points')
        ~ ', points.metric order by points.period_start_date)' -%}
    select
        {{ review_keys('points') }},
        points.metric,
        points.period_start_date,
        points.period_last_date,
        cast({{ 'coalesce(' ~ kept ~ '.point_number, 0) + ' if is_partial() }}{{ number }} as integer) as point_number,
        points.metric_value,
        points.is_changed

    from {{ points }} as points
    {%- if is_partial() %}

    left join {{ kept }}
        on
            {{ same_review('points', kept, period=false) }}
            and points.metric = {{ kept }}.metric
    {%- endif %}

    where {{ is_touched('points.period_last_date', 'ledger_day') }}
{%- endmacro -%}

{#- A select of the state in which each walk of the night before was after the last period that is not touched. -#}
{%- macro last_kept_baselines() -%}
    select kept.*

    from {{ this }} as kept

    inner join (
        select
            {{ review_keys() }},
            metric,
            max(point_number) as point_number

        from {{ this }}
        where not {{ is_touched('period_last_date', 'ledger_day') }}
        group by {{ review_keys() }}, metric
    ) as latest
        on
            {{ same_review('kept', 'latest', period=false) }}
            and kept.metric = latest.metric
            and kept.point_number = latest.point_number
{%- endmacro -%}
