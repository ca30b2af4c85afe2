{#- The columns that every period mart has besides its keys and measures, from `periods`. -#}
{%- macro period_columns() -%}
    periods.period_start_date,
        periods.period_end_date,
        periods.is_complete,
        {{ as_of() }} as built_at_as_of
{%- endmacro -%}
