{#-
    Grain: one row per ledger row to put in order, and per restarted team one row `carried`
    that states the balance with which the walk begins.
-#}
with

ledger_rows as (

    select
        ledger_rows.*,
        coalesce(restarts.first_position, 1) as first_position

    from {{ ref('int_ledger_rows_normalised') }} as ledger_rows

    -- a team that is walked whole
    left join {{ ref('int_ledger_restarts') }} as restarts
        on ledger_rows.team_id = restarts.team_id

    where
        ledger_rows.created_at >= (select walked_from from {{ ref('int_ledger_walk') }})
        and (
            restarts.team_id is null
            or ledger_rows.created_at >= restarts.restarts_at
        )

),

carried as (

    select
        'carried' as transaction_id,
        team_id,
        cast(null as {{ dbt.type_string() }}) as organization_id,
        cast(null as {{ dbt.type_string() }}) as job_id,
        'carried' as transaction_type,
        'carried' as movement,
        cast(0 as bigint) as credits_signed,
        cast(0 as bigint) as credits_amount,
        cast(carried_balance as bigint) as credits_before,
        cast(carried_balance as bigint) as credits_after,
        cast(null as {{ dbt.type_string() }}) as reason,
        restarts_at - interval '1 microsecond' as created_at,
        first_position - 1 as first_position

    from {{ ref('int_ledger_restarts') }}
    where first_position is not null

),

final as (

    select * from ledger_rows
    union all
    select * from carried

)

select * from final
