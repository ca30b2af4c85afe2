{#- Grain: one row per scope and place: its teams closest to running out of credits, as of the build. -#}

{%- set listed_teams = review_rule('listed_credits') -%}

with

balances as (

    {% for scope_kind, key in [('platform', "'platform'"), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        '{{ scope_kind }}' as scope_kind,
        {{ key }} as scope_id,
        *

    from {{ ref('credit_balances') }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

judged as (

    select
        *,
        row_number() over (
            partition by scope_kind, scope_id
            -- an empty balance first, then the soonest, then the fullest use
            order by
                case when credits_remaining <= 0 then 0 else 1 end asc,
                days_left asc nulls last,
                used_share desc nulls last,
                team_id asc
        ) as list_position,
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
        judged.scope_kind,
        judged.scope_id,
        cast(judged.list_position as integer) as list_position,
        judged.team_id,
        organizations.organization_name,
        judged.credits_allocated,
        judged.credits_used,
        judged.credits_remaining,
        judged.used_share,
        judged.burn_per_day,
        judged.days_left,
        {{ run_out_date('judged.credits_remaining', 'judged.days_left') }} as run_out_date,
        -- a history shorter than the burn window has its own burn, which the range must enclose
        {%- for bound, rate, extreme in [('earliest', 'fastest', 'greatest'), ('latest', 'slowest', 'least')] %}
        case when judged.days_left is not null then {{ run_out_date('judged.credits_remaining', ratio(
            'judged.credits_remaining',
            extreme ~ '(burn_rates.' ~ rate ~ '_burn_per_day, judged.burn_per_day)'
        )) }} end as {{ bound }}_run_out_date,
        {%- endfor %}
        judged.status,
        case when judged.status in ('exhausted', 'low') then 'bad' else 'none' end as tone,
        cast(sum(case when judged.status in ('exhausted', 'low') then 1 else 0 end) over (
            partition by judged.scope_kind, judged.scope_id
        ) as integer) as low_credit_team_count,
        judged.built_at_as_of

    from judged

    left join {{ ref('int_scope_organizations') }} as organizations
        on
            organizations.scope_kind = 'team'
            and judged.team_id = organizations.scope_id

    -- a team that never had a ledger row
    left join {{ ref('int_credit_burn_rates') }} as burn_rates
        on judged.team_id = burn_rates.team_id

)

select * from final
where list_position <= {{ listed_teams }} and scope_id <> 'unassigned'
