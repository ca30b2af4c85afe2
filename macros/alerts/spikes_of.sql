{#-
    The body of a rule on the last complete day's jump above what its weekday usually has: of `measures`
    (name: least increase, in the measure's unit), the worst of them per scope. A scope's own thresholds stand for
    `fires` and `clears`.
-#}
{%- macro spikes_of(rule, measures, fires, clears, evidence) -%}
with

values_of_day as (

    select * from {{ ref('int_alert_usual_values') }}
    where measure in ({% for measure in measures %}'{{ measure }}'{% if not loop.last %}, {% endif %}{% endfor %})

),

moment as (

    select * from {{ ref('int_alert_moment') }}

),

limited as (

    select
        values_of_day.*,
        cast(coalesce(overrides.threshold, {{ fires }}) as numeric(28, 8)) as fires_above,
        cast(coalesce(overrides.clear_threshold, {{ clears }}) as numeric(28, 8)) as clears_at

    from values_of_day

    {{ join_alert_overrides('values_of_day', rule) }}

),

compared as (

    select
        *,
        value - usual_value as increase,
        cast(
            case measure
                {%- for measure, floor in measures.items() %} when '{{ measure }}' then {{ floor }}{% endfor %}
            end as numeric(18, 8)
        ) as least_increase,
        {#- usually nothing: any increase is infinitely many times as much, and its size decides -#}
        case
            when usual_value > 0 then {{ exact_ratio('value - usual_value', 'usual_value', 8) }}
            when value > 0 then 99999999
            else 0
        end as increase_share

    from limited

),

judged as (

    select
        *,
        increase >= least_increase and distance > largest_usual_distance as is_supported

    from compared

),

ranked as (

    select
        *,
        row_number() over (
            partition by scope_kind, scope_id
            order by
                case when is_supported and increase_share > fires_above then 0 else 1 end,
                case when day_count < {{ var('alert_baseline_min_days') }} or value is null then 1 else 0 end,
                increase_share desc, measure
        ) as place

    from judged

),

measured as (

    select
        ranked.scope_kind,
        ranked.scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        ranked.organization_id,
        'increase of ' || ranked.measure || ' over the usual' as measure,
        -- an increase too small to matter is none
        case when ranked.increase < ranked.least_increase then least(ranked.increase_share, ranked.clears_at)
            else ranked.increase_share end as observed_value,
        ranked.usual_value as baseline_value,
        case when ranked.measure <> 'client cost' then cast(ranked.value as bigint) end as volume,
        case ranked.measure when 'client cost' then 'USD' else ranked.measure end as value_unit,
        ranked.value as actual_value,
        {{ day_start('ranked.value_date') }} as window_start,
        {{ day_start('(ranked.value_date + 1)') }} as window_end,
        moment.last_complete_until as data_as_of,
        case
            when ranked.value is null then 'no call of the day has a known cost'
            when ranked.day_count < {{ var('alert_baseline_min_days') }}
                then 'fewer than {{ var("alert_baseline_min_days") }} days of history'
        end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        ranked.is_supported,
        ranked.fires_above,
        ranked.clears_at

    from ranked
    cross join moment
    where ranked.place = 1

)

{{ alert_candidates_of(
    'measured', rule=rule, fires='>', threshold='fires_above', clear_threshold='clears_at', evidence=evidence,
    takes_overrides=false, counted_unit='measured.value_unit', actual_value='measured.actual_value'
) }}
{%- endmacro -%}
