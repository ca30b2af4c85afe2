{#- The calls of each model group with their percentiles, for one period type. -#}
{%- macro group_latencies_by_period(period_type) -%}
{{ replaced_when_touched('period_start_date', period_type, in_portions=true) }}
with

calls as (

    {{ calls_of_period(period_type, ['model_group']) }}

),

final as (

    select
        model_group,
        period_start_date,
        {{ call_aggregates() }}

    from calls
    group by model_group, period_start_date

)

select * from final
{%- endmacro -%}
