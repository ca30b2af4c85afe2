{#- Grain: one row per monthly review of the platform or an organization, and place: its teams' statements. -#}

{%- set listed_teams = review_rule('listed_teams') -%}

with

balances as (

    select
        *,
        row_number() over (
            partition by {{ review_keys() }}, period_start_date
            order by credits_used desc, closing_balance desc, team_id asc
        ) as list_rank

    from {{ ref('int_scope_balances') }}
    where scope_kind <> 'team'

),

folded as (

    select
        {{ review_keys() }},
        period_start_date,
        cast(least(list_rank, {{ listed_teams + 1 }}) as integer) as list_position,
        cast(count(*) as integer) as member_count,
        max(case when list_rank <= {{ listed_teams }} then team_id end) as team_id,
        cast(sum(opening_balance) as bigint) as opening_balance,
        cast(sum(credits_allocated + credits_purchased) as bigint) as credits_added,
        cast(sum(credits_used) as bigint) as credits_used,
        cast(sum(credits_adjusted + unexplained_credits) as bigint) as other_credits,
        cast(sum(closing_balance) as bigint) as closing_balance

    from balances
    group by {{ review_keys() }}, period_start_date, least(list_rank, {{ listed_teams + 1 }})

),

final as (

    select
        {{ review_keys('folded') }},
        folded.period_start_date,
        folded.list_position,
        case when folded.list_position <= {{ listed_teams }} then 'member' else 'rest' end as row_kind,
        folded.member_count,
        folded.team_id,
        folded.opening_balance,
        folded.credits_added,
        folded.credits_used,
        folded.other_credits,
        folded.closing_balance

    from folded

    inner join {{ ref('int_reviews') }} as reviews
        on {{ same_review('folded', 'reviews') }}

    where reviews.is_complete

)

select * from final
