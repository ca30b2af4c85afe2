{#-
    Calls by model, for one period type, by `keys`; from single calls, never rolled up
    from a shorter period.
-#}
{%- macro model_calls_by_period(period_type, keys) -%}
{{ replaced_when_touched('period_start_date', period_type, in_portions=true) }}
with

periods as (

    {{ periods_of_type(period_type) }}

),

call_rows as (

    {{ calls_of_period(period_type, keys) }}

),

calls as (

    select
        {{ (keys + ['period_start_date']) | join(',\n        ') }},
        {{ call_aggregates() }}

    from call_rows
    group by {{ (keys + ['period_start_date']) | join(', ') }}

),

final as (

    select
        {%- for key in keys %}
        calls.{{ key }},
        {%- endfor %}
        {{ period_columns() }},
        {{ call_measures() }}

    from calls

    inner join periods
        on calls.period_start_date = periods.period_start_date

)

select * from final
{%- endmacro -%}
