{#-
    Grain: one row per ledger row and rule that it breaks by itself: a sum that is wrong, or
    a type that nobody knows.
-#}
with

ledger_rows as (

    select * from {{ ref('int_ledger_rows_chained') }}

),

final as (

    select
        transaction_id,
        team_id,
        job_id,
        'arithmetic' as break_type,
        stored_credits_before + credits_signed as expected,
        stored_credits_after as actual,
        created_at

    from ledger_rows
    where stored_credits_before + credits_signed <> stored_credits_after

    union all

    select
        transaction_id,
        team_id,
        job_id,
        'unknown_type' as break_type,
        cast(0 as bigint) as expected,
        coalesce(stored_credits_after - stored_credits_before, 0) as actual,
        created_at

    from ledger_rows
    where movement = 'unknown'

)

select * from final
