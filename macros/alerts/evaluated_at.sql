{#-
    The moment (naive UTC) at which a rule is evaluated: the session's `almanac_as_of` when it is set, else
    the night's as_of. So one view answers for the night, for a check between two nights, and for any moment
    of the past.
-#}
{%- macro evaluated_at() -%}
    {{ return(adapter.dispatch('evaluated_at', 'llm_almanac')()) }}
{%- endmacro -%}

{%- macro default__evaluated_at() -%}
    {{ as_of() }}
{%- endmacro -%}

{%- macro duckdb__evaluated_at() -%}
    coalesce(cast(getvariable('almanac_as_of') as timestamp), {{ as_of() }})
{%- endmacro -%}

{%- macro postgres__evaluated_at() -%}
    coalesce(cast(nullif(current_setting('almanac.as_of', true), '') as timestamp), {{ as_of() }})
{%- endmacro -%}
