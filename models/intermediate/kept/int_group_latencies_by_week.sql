{#-
    Grain: one row per model group and ISO week with a call. From single calls: percentiles
    of the group's models do not make the group's.
-#}
{{ replaced_when_touched('period_start_date', 'week') }}
with

calls as (

    {{ calls_of_period('week', ['model_group']) }}

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
