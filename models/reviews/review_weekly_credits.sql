{#- Grain: one row per place: the ten teams closest to running out of credits, as of the build. -#}

{%- set listed_teams = review_rule('listed_credits') -%}

with

balances as (

    select
        *,
        row_number() over (
            -- an empty balance first, then the soonest, then the fullest use
            order by
                case when credits_remaining <= 0 then 0 else 1 end asc,
                days_left asc nulls last,
                used_share desc nulls last,
                team_id asc
        ) as list_position

    from {{ ref('credit_balances') }}

),

organizations as (

    select
        organization_id,
        organization_name

    from {{ ref('dim_organizations') }}

),

judged as (

    select
        *,
        case
            when credits_remaining <= 0 then 'exhausted'
            when days_left is null then 'not known'
            when days_left <= {{ review_rule('low_credit_days') }} then 'low'
            else 'normal'
        end as status

    from balances

),

final as (

    select
        cast(judged.list_position as integer) as list_position,
        judged.team_id,
        organizations.organization_name,
        judged.credits_allocated,
        judged.credits_used,
        judged.credits_remaining,
        judged.used_share,
        judged.burn_per_day,
        judged.days_left,
        -- beyond a century the date says nothing
        case
            when judged.credits_remaining > 0 and judged.days_left < 36500
                then cast(
                    {{ local_date(as_of()) }}
                    + cast(floor(judged.days_left) as integer) * interval '1 day' as date
                )
        end as run_out_date,
        judged.status,
        case when judged.status in ('exhausted', 'low') then 'bad' else 'none' end as tone,
        cast(sum(case when judged.status in ('exhausted', 'low') then 1 else 0 end) over () as integer)
            as low_credit_team_count,
        judged.built_at_as_of

    from judged

    left join organizations
        on judged.organization_id = organizations.organization_id

)

select * from final
where list_position <= {{ listed_teams }}
