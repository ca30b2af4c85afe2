{#-
    Grain: one row per review and thing outside its costs that asks for a person: credits
    that run out (as of the build), calls without a price, jobs that hang, a broken ledger
    (the platform's to see).
-#}
with

reviews as (

    select * from {{ ref('int_reviews') }}
    where is_complete

),

credits as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        'credits_' || credits.status as rule,
        credits.team_id as subject,
        cast(null as bigint) as count,
        cast(credits.credits_remaining as numeric(28, 8)) as amount,
        credits.run_out_date as on_date,
        cast(row_number() over (
            partition by {{ review_keys('reviews') }}, reviews.period_start_date, credits.status
            order by credits.list_position
        ) as integer) as place

    from reviews

    inner join {{ ref('review_credits') }} as credits
        on
            reviews.scope_kind = credits.scope_kind
            and reviews.scope_id = credits.scope_id
            and credits.status in ('exhausted', 'low')

),

final as (

    select * from credits

    union all

    select
        {{ review_keys() }},
        period_start_date,
        'calls_unpriced' as rule,
        cast(null as {{ dbt.type_string() }}) as subject,
        unpriced_call_count as count,
        cast(null as numeric(28, 8)) as amount,
        cast(null as date) as on_date,
        1 as place

    from reviews
    where unpriced_call_count > 0

    union all

    select
        {{ review_keys() }},
        period_start_date,
        'jobs_stuck' as rule,
        case when job_type_count = 1 then job_type end as subject,
        job_count as count,
        cast(null as numeric(28, 8)) as amount,
        cast(null as date) as on_date,
        1 as place

    from {{ ref('int_review_stuck_jobs') }}

    union all

    select
        {{ review_keys() }},
        period_start_date,
        'ledger_breaks' as rule,
        cast(null as {{ dbt.type_string() }}) as subject,
        break_count as count,
        cast(null as numeric(28, 8)) as amount,
        cast(null as date) as on_date,
        1 as place

    from {{ ref('int_review_ledger_breaks') }}

)

select * from final
