{#-
    Grain: one row per team that exists in the last landing, with its credits at the moment of evaluation.

    What the platform says now, less what the ledger moved since then: so a moment of the past can be asked
    for. Changes that leave no ledger row are not undone.
-#}
with

landings as (

    select max(as_of) as landed_as_of from {{ source('saas', 'landings') }}

),

teams as (

    select
        team_id,
        coalesce(organization_id, 'unassigned') as organization_id,
        case when {{ fits_source_integer('credits_allocated') }} then credits_allocated end as credits_allocated,
        case when {{ fits_source_integer('credits_remaining') }} then credits_remaining end as credits_remaining

    from {{ source('saas', 'team_credits') }}

),

later_rows as (

    select
        team_id,
        {{ ledger_movement('transaction_type') }} as movement,
        {{ ledger_credits_signed('transaction_type', 'credits_amount') }} as credits_signed

    -- as landed: no mart has what a check between two nights has landed
    from {{ source('saas', 'credit_transactions') }}
    where created_at >= {{ evaluated_at() }}

),

later_movements as (

    select
        team_id,
        sum(credits_signed) as credits_moved,
        sum(case when movement in ('allocation', 'payment') then credits_signed end) as credits_added

    from later_rows
    group by team_id

),

final as (

    select
        teams.team_id,
        teams.organization_id,
        teams.credits_allocated - coalesce(later_movements.credits_added, 0) as credits_allocated,
        teams.credits_remaining - coalesce(later_movements.credits_moved, 0) as credits_remaining,
        least(landings.landed_as_of, {{ evaluated_at() }}) as balance_as_of

    from teams
    cross join landings

    -- a team that nothing has moved since
    left join later_movements
        on teams.team_id = later_movements.team_id

)

select * from final
