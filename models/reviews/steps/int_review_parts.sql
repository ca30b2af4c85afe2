{#-
    Grain: one row per review whose lists this build makes, dimension (model, team, job_type) and part of it with any usage in
    the period or in the one before: each measure of the period, and as previous_<measure> of the one before.

    A part without a row in one of the two did nothing then: its measure is 0. A cost is null where there were calls
    and the price of none is known. Once for all lists: they read it.
-#}
{{ config(materialized='table') }}
{%- set periods = {'': 'not reviews.is_before', 'previous_': 'reviews.is_before'} -%}
with

reviews as (

    {% for start_date, is_before in [('period_start_date', 'false'), ('previous_period_start_date', 'true')] -%}
    select
        {{ review_keys() }},
        period_start_date,
        {{ start_date }} as part_start_date,
        {{ is_before }} as is_before

    from {{ ref('int_reviews') }} as reviews
    where {{ is_made_anew('reviews') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        parts.dimension,
        parts.part_name,
        {%- for prefix, of_period in periods.items() %}
        {%- set last_prefix = loop.last %}
        {%- for measure in part_measures() %}
        {%- set value = 'sum(case when ' ~ of_period ~ ' then parts.' ~ measure ~ ' end)' %}
        {%- if measure.endswith('_usd') %}
        cast(case
            when count(case when {{ of_period }} then parts.call_count end) = 0 then 0
            else {{ value }}
        end as numeric(28, 8)) as {{ prefix }}{{ measure }}
        {%- else %}
        cast(coalesce({{ value }}, 0) as bigint) as {{ prefix }}{{ measure }}
        {%- endif -%}
        {{ "," if not (last_prefix and loop.last) }}
        {%- endfor %}
        {%- endfor %}

    from reviews

    inner join {{ ref('int_scope_parts') }} as parts
        on
            {{ same_review('reviews', 'parts', period=false) }}
            and reviews.part_start_date = parts.period_start_date

    group by {{ review_keys('reviews') }}, reviews.period_start_date, parts.dimension, parts.part_name

)

select * from final
