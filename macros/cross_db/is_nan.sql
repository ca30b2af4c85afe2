{#-
    Whether an expression, of whatever numeric type, is not a number; null of null. Compared, not asked with isnan(), which
    PostgreSQL does not have: there, on DuckDB and on Spark it equals itself, unlike everywhere else. A single, which is
    called the same by all of them.
-#}
{%- macro is_nan(expression) -%}
    {{ expression }} = cast('NaN' as float)
{%- endmacro -%}

{#- The expression, in its own type; null where it is not a number, which no numeric type of DuckDB or Spark can hold. -#}
{%- macro number_or_null(expression) -%}
    case when {{ is_nan(expression) }} then null else {{ expression }} end
{%- endmacro -%}
