{#- Source freshness against as_of instead of the wall clock: the same data is as fresh tomorrow. -#}
{%- macro collect_freshness(source, loaded_at_field, filter) -%}
    {%- call statement('collect_freshness', fetch_result=True, auto_begin=False) -%}
    select
        max({{ loaded_at_field }}) as max_loaded_at,
        {{ as_of() }} as snapshotted_at
    from {{ source }}
    where {{ loaded_at_field }} < {{ as_of() }}{% if filter %} and {{ filter }}{% endif %}
    {%- endcall -%}
    {{ return(load_result('collect_freshness')) }}
{%- endmacro -%}
