{#- The run's clock: rows created before this instant (naive UTC) exist. -#}
{%- macro as_of() -%}
    cast('{{ var("as_of", none) or run_started_at.strftime("%Y-%m-%d %H:%M:%S") }}' as timestamp)
{%- endmacro -%}
