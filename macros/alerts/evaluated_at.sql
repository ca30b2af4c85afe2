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

{#-
    A function of the file, which set_evaluated_at replaces: the views stay as they are from night to night.
    A unit test has a moment of its own.
-#}
{%- macro duckdb__evaluated_at() -%}
    {%- if model.resource_type == 'unit_test' -%}
    {{ as_of() }}
    {%- else -%}
    {{ api.Relation.create(
        database=target.database, schema=generate_schema_name('alerts', none), identifier='evaluated_at'
    ) }}()
    {%- endif -%}
{%- endmacro -%}

{%- macro postgres__evaluated_at() -%}
    coalesce(cast(nullif(current_setting('almanac.as_of', true), '') as timestamp), {{ as_of() }})
{%- endmacro -%}

{#- Before the models: what `evaluated_at` says on an engine that keeps the rules' views from night to night. -#}
{%- macro set_evaluated_at() -%}
    {{ return(adapter.dispatch('set_evaluated_at', 'llm_almanac')()) }}
{%- endmacro -%}

{%- macro default__set_evaluated_at() -%}
{%- endmacro -%}

{%- macro duckdb__set_evaluated_at() -%}
    create schema if not exists {{ generate_schema_name('alerts', none) }};
    create or replace macro {{ generate_schema_name('alerts', none) }}.evaluated_at() as
        coalesce(cast(getvariable('almanac_as_of') as timestamp), {{ as_of() }})
{%- endmacro -%}
