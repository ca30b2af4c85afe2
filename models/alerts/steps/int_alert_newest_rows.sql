{#-
    Grain: one row per source table whose rows come every day: its newest row, and how many rows a day like
    the last complete one usually brings.
-#}
{%- set tables = {'jobs': 'job_count', 'llm_calls': 'call_count'} -%}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

usual as (

    select
        {%- for column in tables.values() %}
        percentile_disc(0.5) within group (order by days.{{ column }}) as usual_{{ column }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}

    from {{ ref('platform_usage_daily') }} as days
    cross join moment
    where
        days.period_start_date <= moment.last_complete_date
        and days.period_start_date > moment.last_complete_date - 7 * {{ var('alert_spike_weeks') }}
        and {{ iso_part('isodow', 'days.period_start_date') }} = {{ iso_part('isodow', 'moment.last_complete_date') }}

),

newest as (

    {%- for table in tables %}
    select
        '{{ table }}' as table_name,
        max(created_at) as newest_at

    from {{ source('saas', table) }}
    where
        created_at < {{ evaluated_at() }}
        and created_at >= {{ evaluated_at() }} - 7 * {{ var('alert_spike_weeks') }} * interval '1 day'
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}

),

final as (

    select
        newest.table_name,
        newest.newest_at,
        case newest.table_name
            {%- for table, column in tables.items() %}
            when '{{ table }}' then usual.usual_{{ column }}
            {%- endfor %}
        end as usual_row_count

    from newest
    cross join usual

)

select * from final
