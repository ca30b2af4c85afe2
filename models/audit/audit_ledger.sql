{#-
    Grain: one row per ledger row and rule that it breaks. Its tests look at those whose rows were walked again.
-#}
{{ config(replaced={'ledger': 'created_at'}) }}
with

breaks as (

    select * from {{ ref('int_broken_ledger_rows') }}

),

teams as (

    select
        team_id,
        credits_per_dollar

    from {{ ref('dim_teams') }}

),

-- divided once for each amount, not for each row: there are few, and a division is exact at a price
dollars as (

    select
        differences.team_id,
        differences.difference,
        {{ money_ratio('differences.difference', 'teams.credits_per_dollar') }} as dollars

    from (
        select distinct
            team_id,
            difference

        from breaks
    ) as differences

    inner join teams
        on differences.team_id = teams.team_id

),

final as (

    select
        breaks.transaction_id,
        breaks.break_type,
        breaks.team_id,
        breaks.organization_id,
        breaks.job_id,
        breaks.transaction_type,
        breaks.transaction_date,
        breaks.expected,
        breaks.actual,
        breaks.difference,
        {{ age_in_days('breaks.created_at') }} as age_days,
        dollars.dollars,
        breaks.created_at

    from breaks

    inner join teams
        on breaks.team_id = teams.team_id

    -- a break without a difference
    left join dollars
        on
            breaks.team_id = dollars.team_id
            and breaks.difference = dollars.difference

)

select * from final
