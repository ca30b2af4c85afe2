{#- Grain: one row per ledger row and break of the ledger's rules that it shows. -#}
{{ replaced_when_walked() }}
with

breaks as (

    select * from {{ ref('int_ledger_row_breaks') }}
    union all
    select * from {{ ref('int_ledger_chain_breaks') }}
    union all
    select * from {{ ref('int_ledger_charge_breaks') }}

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
        row_number() over (partition by transaction_id order by {{ bytewise('break_type') }}) as break_rank,
        created_at

    from breaks

)

select * from final
