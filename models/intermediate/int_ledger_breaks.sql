{#- Grain: one row per ledger row and break of the ledger's rules that it shows. -#}
with

chain_breaks as (

    select * from {{ ref('int_ledger_chain_breaks') }}

),

charge_breaks as (

    select * from {{ ref('int_ledger_charge_breaks') }}

),

all_breaks as (

    select * from chain_breaks
    union all
    select * from charge_breaks

),

final as (

    select
        transaction_id,
        team_id,
        job_id,
        break_type,
        expected,
        actual,
        actual - expected as difference,
        row_number() over (partition by transaction_id order by break_type) as break_rank,
        created_at

    from all_breaks

)

select * from final
