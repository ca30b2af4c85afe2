{#- Dollars paid, from a ledger row's reason "(… $1,299.00 USD …)"; null when unreadable. -#}
{%- macro dollars_in_reason(reason) -%}
    cast(replace(
        {{ regexp_group(reason, '\\([^()]*\\$([0-9][0-9,]{0,14}(?:\\.[0-9]{1,8})?) USD[^()]*\\)') }}, ',', ''
    ) as numeric(28, 8))
{%- endmacro -%}
