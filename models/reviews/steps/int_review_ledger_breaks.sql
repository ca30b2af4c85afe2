{#- Grain: one row per review of the platform with a ledger row of the period that does not follow. -#}
with

reviews as (

    select * from {{ ref('int_reviews') }}
    where is_complete

),

breaks as (

    {% for kind, period_type in review_kinds() -%}
    select
        '{{ kind }}' as review_kind,
        {{ period_start('transaction_date', period_type) }} as period_start_date,
        count(*) as break_count

    from {{ ref('int_broken_ledger_rows') }}
    group by {{ period_start('transaction_date', period_type) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        breaks.break_count

    from reviews

    inner join breaks
        on
            reviews.scope_kind = 'platform'
            and reviews.review_kind = breaks.review_kind
            and reviews.period_start_date = breaks.period_start_date

)

select * from final
