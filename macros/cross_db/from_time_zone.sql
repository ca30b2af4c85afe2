{#- Naive UTC timestamp of a local wall-clock timestamp in the reporting time zone. -#}
{%- macro from_time_zone(local_timestamp) -%}
    {%- if var("reporting_timezone") == 'UTC' -%}
        {{ return("(" ~ local_timestamp ~ ")") }}
    {%- endif -%}
    {{ return(adapter.dispatch('from_time_zone', 'llm_almanac')(local_timestamp)) }}
{%- endmacro -%}

{%- macro default__from_time_zone(local_timestamp) -%}
    timezone('UTC', timezone('{{ var("reporting_timezone") }}', {{ local_timestamp }}))
{%- endmacro -%}

{#-
    Spark takes the first of two instants that a clock set back names alike, the other engines the last: the one
    found from three hours later on, by which no zone is set back, if it has the name.
-#}
{%- macro spark__from_time_zone(local_timestamp) -%}
    {%- set zone = "'" ~ var("reporting_timezone") ~ "'" -%}
    {%- set last = "(to_utc_timestamp(" ~ local_timestamp ~ " + interval '3 hours', " ~ zone ~ ") - interval '3 hours')" -%}
    case
        when from_utc_timestamp({{ last }}, {{ zone }}) = {{ local_timestamp }} then {{ last }}
        else to_utc_timestamp({{ local_timestamp }}, {{ zone }})
    end
{%- endmacro -%}
