{#- A select of the periods of one type. -#}
{%- macro periods_of_type(period_type) -%}
    select
        period_start_date,
        period_end_date,
        is_complete,
        elapsed_microseconds

    from {{ ref('int_periods') }}
    where period_type = '{{ period_type }}'
{%- endmacro -%}
