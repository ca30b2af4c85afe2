{#-
    A select of one row per review of a complete period and part (column `key` of the
    usage parts, as part_name) with activity in the period or in the one before: each
    measure of the period, and as previous_<measure> of the one before.

    A part without a row in one of the two did nothing then: its measure is 0. A cost is
    null where there were calls and the price of none is known. `only`: rows of one part
    (jobs, calls, credits); `condition`: which reviews.
-#}
{%- macro beside_previous_period(key, measures, previous_measures, only=none, condition='true') -%}
    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        parts.{{ key }} as part_name,
        {%- for measure in measures %}
        {{ _sum_of_period(measure, 'reviews.period_start_date') }} as {{ measure }},
        {%- endfor %}
        {%- for measure in previous_measures %}
        {{ _sum_of_period(measure, 'reviews.previous_period_start_date') }} as previous_{{ measure }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}

    from {{ ref('int_reviews') }} as reviews

    inner join {{ ref('int_scope_parts') }} as parts
        on
            {{ same_review('reviews', 'parts', period=false) }}
            and parts.period_start_date in (reviews.period_start_date, reviews.previous_period_start_date)

    where
        reviews.is_complete
        and {{ condition }}
        {%- if only %}
        and parts.part = '{{ only }}'
        {%- endif %}
    group by {{ review_keys('reviews') }}, reviews.period_start_date, parts.{{ key }}
{%- endmacro -%}

{%- macro _sum_of_period(measure, start_date) -%}
    {%- if measure.endswith('_usd') -%}
    case
            when count(case when parts.period_start_date = {{ start_date }} then parts.call_count end) = 0 then 0
            else sum(case when parts.period_start_date = {{ start_date }} then parts.{{ measure }} end)
        end
    {%- else -%}
    coalesce(sum(case when parts.period_start_date = {{ start_date }} then parts.{{ measure }} end), 0)
    {%- endif -%}
{%- endmacro -%}
