{#- Grain: one row per rule, source table and local day on which a row breaks it. -#}
with

findings as (

    {% for relation in ['int_findings_by_day', 'int_findings_of_teams', 'int_findings_of_landing'] -%}
    select
        rule,
        table_name,
        row_key,
        dollars,
        affected_row_count,
        created_at

    from {{ ref(relation) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

dated as (

    select
        *,
        -- a row of a table without a clock counts on as_of's day
        coalesce(
            {{ local_date('created_at') }}, {{ local_date(as_of() ~ " - interval '1 microsecond'") }}
        ) as finding_date

    from findings

),

final as (

    select
        rule,
        table_name,
        finding_date,
        cast(0 as bigint) as expected,
        cast(sum(affected_row_count) as bigint) as actual,
        cast(sum(affected_row_count) as bigint) as difference,
        {{ age_in_days('min(created_at)') }} as age_days,
        cast(sum(dollars) as numeric(28, 8)) as dollars,
        min(row_key) as example_row_key

    from dated
    group by rule, table_name, finding_date

)

select * from final
