{#-
    Grain: one row per monthly review, and team of it that has a ledger: its month as a
    statement. A month without a ledger row opens and closes at the balance before it. A
    team is in the statement of the organization that it belongs to at the month's end,
    with its whole month.
-#}
{%- set movements = [
    'credits_allocated', 'credits_purchased', 'credits_adjusted', 'credits_used', 'unexplained_credits',
] -%}
with

months as (

    select distinct
        period_start_date,
        period_end_date

    from {{ ref('int_reviews') }}
    where
        review_kind = 'monthly'
        and is_complete

),

statements as (

    select
        *,
        lead(period_start_date) over (
            partition by team_id
            order by period_start_date
        ) as next_start_date

    from {{ ref('credit_usage_monthly') }}

),

team_months as (

    select
        statements.team_id,
        months.period_start_date,
        {{ day_start('months.period_end_date') }} as ends_at,
        case when statements.period_start_date = months.period_start_date
            then statements.opening_balance else statements.closing_balance
        end as opening_balance,
        {%- for movement in movements %}
        case when statements.period_start_date = months.period_start_date then statements.{{ movement }} else 0 end
            as {{ movement }},
        {%- endfor %}
        statements.closing_balance

    from months

    inner join statements
        on
            months.period_start_date >= statements.period_start_date
            and months.period_start_date < coalesce(statements.next_start_date, date '9999-12-31')

),

owned as (

    select
        team_months.*,
        coalesce(versions.organization_id, 'unassigned') as organization_id

    from team_months

    -- a team gone before the first landing
    left join {{ ref('int_team_versions') }} as versions
        on
            team_months.team_id = versions.team_id
            and (versions.valid_from < team_months.ends_at or versions.valid_from is null)
            and (versions.valid_to >= team_months.ends_at or versions.valid_to is null)

),

final as (

    {% for scope_kind, key in [('platform', "'platform'"), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        'monthly' as review_kind,
        '{{ scope_kind }}' as scope_kind,
        {{ key }} as scope_id,
        period_start_date,
        team_id,
        opening_balance,
        {{ movements | join(',\n        ') }},
        closing_balance

    from owned
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

)

select * from final
