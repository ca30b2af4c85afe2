{#- Calendar day, in the reporting time zone, of a naive UTC timestamp. -#}
{%- macro local_date(utc_timestamp) -%}
    cast({{ in_time_zone(utc_timestamp) }} as date)
{%- endmacro -%}

{#-
    UTC instant at which a local day starts.

    Taken as one microsecond after the last one of the day before, which exists and is
    the last of its name even where clocks change at midnight (Havana, Beirut).
-#}
{%- macro day_start(local_day) -%}
    (
        {{ from_time_zone("cast(" ~ local_day ~ " as timestamp) - interval '1 microsecond'") }}
        + interval '1 microsecond'
    )
{%- endmacro -%}

{#- First day of the day, ISO week or month that a date lies in. -#}
{%- macro period_start(calendar_date, period_type) -%}
    cast(date_trunc('{{ period_type }}', {{ calendar_date }}) as date)
{%- endmacro -%}

{#- First day after the period that starts on a date. -#}
{%- macro period_end(start_date, period_type) -%}
    cast({{ start_date }} + interval '1 {{ period_type }}' as date)
{%- endmacro -%}
