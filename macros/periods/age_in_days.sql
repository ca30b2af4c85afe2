{#- Whole days of 24 h from an instant to as_of. -#}
{%- macro age_in_days(utc_timestamp) -%}
    cast(
        floor({{ microseconds_between(utc_timestamp, as_of()) }} / cast(86400000000 as numeric(18, 0))) as bigint
    )
{%- endmacro -%}
