{#- Grain: one row per team that exists now. -#}
with

teams as (

    select
        team_id,
        organization_id,
        case when {{ fits_source_integer('credits_allocated') }} then credits_allocated end as credits_allocated,
        case when {{ fits_source_integer('credits_used') }} then credits_used end as credits_used,
        case when {{ fits_source_integer('credits_remaining') }} then credits_remaining end as credits_remaining,
        case when {{ fits_source_integer('credit_limit') }} then credit_limit end as credit_limit

    from {{ ref('stg_saas__team_credits') }}

),

statements as (

    select
        team_id,
        closing_balance,
        row_number() over (partition by team_id order by period_start_date desc) as recency

    from {{ ref('credit_usage_monthly') }}

),

burn as (

    select * from {{ ref('int_credits_burned') }}

),

final as (

    select
        teams.team_id,
        coalesce(teams.organization_id, 'unassigned') as organization_id,
        teams.credits_allocated,
        teams.credits_used,
        teams.credits_remaining,
        teams.credit_limit,
        {{ ratio('teams.credits_used', 'teams.credits_allocated') }} as used_share,
        statements.closing_balance as ledger_balance,
        teams.credits_remaining - statements.closing_balance as balance_difference,
        burn.burn_days,
        {{ ratio('burn.credits_burned', 'burn.burn_days') }} as burn_per_day,
        case
            when burn.credits_burned > 0 and burn.burn_days >= {{ var('burn_min_days') }}
                then {{ ratio('teams.credits_remaining * burn.burn_days', 'burn.credits_burned') }}
        end as days_left,
        {{ as_of() }} as built_at_as_of

    from teams

    -- a team that never had a ledger row
    left join statements
        on
            teams.team_id = statements.team_id
            and statements.recency = 1

    left join burn
        on teams.team_id = burn.team_id

)

select * from final
