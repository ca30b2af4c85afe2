{#- A change in the way of its metric: a difference for points, else a fraction of what was there; null without any. -#}
{%- macro review_change(metrics, value, previous) -%}
    case
            when {{ metrics }}.change_kind = 'points'
                then cast({{ value }} - {{ previous }} as numeric(18, 6))
            when {{ previous }} > 0
                then {{ ratio('(' ~ value ~ ' - ' ~ previous ~ ')', previous) }}
        end
{%- endmacro -%}

{#- Days from one date to another. -#}
{%- macro day_count(start_date, end_date) -%}
    cast({{ end_date }} - {{ start_date }} as integer)
{%- endmacro -%}
