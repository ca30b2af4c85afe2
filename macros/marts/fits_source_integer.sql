{#- Whether a whole number could have come from the source's integer columns (32 bits). -#}
{%- macro fits_source_integer(expression) -%}
    ({{ expression }} between -2147483648 and 2147483647)
{%- endmacro -%}
