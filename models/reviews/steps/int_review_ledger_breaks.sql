{#- Grain: one row per review of the platform with a ledger row of the period that does not follow. -#}
with

reviews as (

    select * from {{ ref('int_reviews') }}
    where is_complete

),

breaks as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        count(*) as break_count

    from reviews

    inner join {{ ref('audit_ledger') }} as ledger
        on
            reviews.scope_kind = 'platform'
            and reviews.period_start_date <= {{ local_date('ledger.created_at') }}
            and reviews.period_end_date > {{ local_date('ledger.created_at') }}

    group by {{ review_keys('reviews') }}, reviews.period_start_date

)

select * from breaks
