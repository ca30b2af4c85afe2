{#-
    A select of one row per complete week and `keys` with activity in it or in the week
    before: each measure of the week, and as previous_<measure> of the week before.

    A key without a row in one of the two weeks did nothing then: its measure is 0. A
    measure that is null in the row itself is not known, and stays null.
-#}
{%- macro beside_previous_week(relation, keys, measures, previous_measures) -%}
    select
        both_weeks.period_start_date,
        {%- for key in keys %}
        both_weeks.{{ key }},
        {%- endfor %}
        {%- for measure in measures %}
        case when sum(both_weeks.is_this) = 0 then 0 else sum(both_weeks.{{ measure }}) end as {{ measure }},
        {%- endfor %}
        {%- for measure in previous_measures %}
        case when sum(both_weeks.is_previous) = 0 then 0 else sum(both_weeks.previous_{{ measure }}) end
            as previous_{{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}

    from (
        select
            period_start_date,
            {%- for key in keys %}
            {{ key }},
            {%- endfor %}
            {%- for measure in measures %}
            {{ measure }},
            {%- endfor %}
            {%- for measure in previous_measures %}
            null as previous_{{ measure }},
            {%- endfor %}
            1 as is_this,
            0 as is_previous

        from {{ relation }}

        union all

        select
            {{ period_end('period_start_date', 'week') }} as period_start_date,
            {%- for key in keys %}
            {{ key }},
            {%- endfor %}
            {%- for measure in measures %}
            null as {{ measure }},
            {%- endfor %}
            {%- for measure in previous_measures %}
            {{ measure }} as previous_{{ measure }},
            {%- endfor %}
            0 as is_this,
            1 as is_previous

        from {{ relation }}
    ) as both_weeks

    inner join {{ ref('platform_usage_weekly') }} as platform_weeks
        on both_weeks.period_start_date = platform_weeks.period_start_date

    where platform_weeks.is_complete
    group by {% for key in ['period_start_date'] + keys %}both_weeks.{{ key }}{% if not loop.last %}, {% endif %}{% endfor %}
{%- endmacro -%}
