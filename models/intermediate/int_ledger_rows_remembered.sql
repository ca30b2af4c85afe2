{#-
    Grain: one row per ledger row before its team's restart that the rows after it are
    compared with: the nearest ones, and deductions for jobs that are charged again.
-#}
{{ config(materialized='table') }}
with

kept_rows as (

    {{ kept_ledger_rows([
        'transaction_id', 'team_id', 'job_id', 'movement', 'credits_signed', 'credits_before', 'credits_after',
        'previous_balance', 'ledger_position', 'created_at',
    ]) }}

),

charged_again as (

    select distinct
        team_id,
        job_id

    from {{ ref('int_ledger_rows_to_walk') }}
    where movement = 'deduction'

),

final as (

    select
        kept_rows.*,
        kept_rows.ledger_position >= restarts.first_position - {{ var('fork_lookback_rows') + 1 }} as is_near

    from kept_rows

    inner join {{ ref('int_ledger_restarts') }} as restarts
        on
            kept_rows.team_id = restarts.team_id
            and kept_rows.ledger_position < restarts.first_position

    left join charged_again
        on
            kept_rows.team_id = charged_again.team_id
            and kept_rows.job_id = charged_again.job_id
            and kept_rows.movement = 'deduction'

    where
        kept_rows.ledger_position >= restarts.first_position - {{ var('fork_lookback_rows') + 1 }}
        or charged_again.job_id is not null

)

select * from final
