{#-
    Grain: one row per ledger row, in the team's ledger order, payments rebased.

    A payment row stores the allocation before and after; here its "before" is the running
    balance, so that the chain can be checked.
-#}
{{ config(materialized='table') }}
with

ledger_rows as (

    select * from {{ ref('int_ledger_rows_to_walk') }}

),

positioned as (

    select
        ledger_rows.*,
        min(ledger_rows.first_position) over (partition by ledger_rows.team_id) - 1
        + row_number() over (
            partition by ledger_rows.team_id
            order by ledger_rows.created_at, coalesce(walked.step, 1)
        ) as ledger_position

    from ledger_rows

    left join {{ ref('int_ledger_ties_walked') }} as walked
        on
            ledger_rows.team_id = walked.team_id
            and ledger_rows.transaction_id = walked.transaction_id

),

-- a stretch is a row that states its balance and the payments right after it
stretched as (

    select
        *,
        sum(case when {{ states_balance() }} then 1 else 0 end) over (
            partition by team_id order by ledger_position
        ) as stretch_number

    from positioned

),

rebased as (

    select
        *,
        first_value(case when {{ states_balance() }} then credits_after else coalesce(credits_before, 0) end) over (
            partition by team_id, stretch_number order by ledger_position
        )
        + coalesce(sum(case when not {{ states_balance() }} then credits_signed end) over (
            partition by team_id, stretch_number order by ledger_position
        ), 0) as balance_after

    from stretched

),

final as (

    select
        transaction_id,
        team_id,
        organization_id,
        job_id,
        transaction_type,
        movement,
        credits_amount,
        credits_signed,
        credits_before as stored_credits_before,
        credits_after as stored_credits_after,
        cast(
            case
                when {{ states_balance() }} then credits_before else balance_after - coalesce(credits_signed, 0)
            end as bigint
        ) as credits_before,
        cast(balance_after as bigint) as credits_after,
        cast(lag(balance_after) over (partition by team_id order by ledger_position) as bigint) as previous_balance,
        ledger_position,
        reason,
        created_at

    from rebased

)

select * from final
where movement <> 'carried'
