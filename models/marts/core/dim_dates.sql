{#- Grain: one row per local day from the first with a job, call or ledger row to as_of's. -#}
with

activity as (

    {% for table_name in ['jobs', 'llm_calls', 'credit_transactions'] -%}
    (
        -- an engine skips what is later than a row that it has found; a minimum makes it look at all
        select created_at
        from {{ ref('stg_saas__' ~ table_name) }}
        where {{ exists_at_as_of('created_at') }}
        order by created_at
        limit 1
    )
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

bounds as (

    select
        {{ local_date('min(created_at)') }} as first_date,
        {{ local_date(as_of() ~ " - interval '1 microsecond'") }} as last_date

    from activity

),

days as (

    select {{ days('first_date', 'last_date') }} as calendar_date
    from bounds

),

bounded as (

    select
        calendar_date,
        {{ day_start('calendar_date') }} as starts_at,
        {{ day_start("cast(calendar_date + interval '1 day' as date)") }} as ends_at

    from days

),

final as (

    select
        calendar_date,
        {{ iso_part('isoyear', 'calendar_date') }} as iso_year,
        cast(extract(week from calendar_date) as integer) as iso_week,
        {{ iso_part('isodow', 'calendar_date') }} as iso_day_of_week,
        {{ period_start('calendar_date', 'week') }} as week_start_date,
        {{ period_start('calendar_date', 'month') }} as month_start_date,
        starts_at,
        ends_at,
        cast({{ integer_quotient(microseconds_between('starts_at', 'ends_at'), '60000000') }} as integer) as minutes,
        bounded.ends_at <= coverage.covered_until as is_complete,
        '{{ var("reporting_timezone") }}' as reporting_timezone

    from bounded

    cross join {{ ref('int_coverage') }} as coverage

)

select * from final
