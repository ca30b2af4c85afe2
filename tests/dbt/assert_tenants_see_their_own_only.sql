-- What a tenant's review is made of holds no provider cost, margin, payment, finding, ledger break, slow call or cohort,
-- and names no team of another organization and no other team.
-- Returns one row per review, table and thing that it must not hold.
with

teams as (

    select distinct
        organization_id,
        team_id

    from {{ ref('int_usage_parts_by_week') }}

    union

    select distinct
        organization_id,
        team_id

    from {{ ref('int_usage_parts_by_month') }}

    union

    select distinct
        coalesce(organization_id, 'unassigned') as organization_id,
        team_id

    from {{ ref('int_team_versions') }}

),

named as (

    select scope_kind, scope_id, 'review_parts' as table_name, part_name as named
    from {{ ref('review_parts') }}
    where dimension = 'team' and part_name is not null

    union all

    select scope_kind, scope_id, 'review_part_rows' as table_name, part_name as named
    from {{ ref('review_part_rows') }}
    where dimension = 'team'

    union all

    select scope_kind, scope_id, 'review_drivers' as table_name, part_name as named
    from {{ ref('review_drivers') }}
    where dimension = 'team' and part_name is not null

    union all

    select scope_kind, scope_id, 'review_balances' as table_name, team_id as named
    from {{ ref('review_balances') }}
    where team_id is not null

    union all

    select scope_kind, scope_id, 'review_credits' as table_name, team_id as named
    from {{ ref('review_credits') }}

    union all

    select scope_kind, scope_id, 'review_decisions' as table_name, subject as named
    from {{ ref('review_decisions') }}
    where rule in ('credits_exhausted', 'credits_low', 'margin_negative')

)

select
    named.scope_kind,
    named.scope_id,
    named.table_name,
    named.named

from named

left join teams
    on
        named.named = teams.team_id
        and (
            (named.scope_kind = 'organization' and named.scope_id = teams.organization_id)
            or (named.scope_kind = 'team' and named.scope_id = teams.team_id)
        )

where
    named.scope_kind <> 'platform'
    and teams.team_id is null

union all

select scope_kind, scope_id, 'review_models' as table_name, 'provider cost' as named
from {{ ref('review_models') }}
where scope_kind <> 'platform' and provider_cost_usd is not null

union all

select scope_kind, scope_id, 'review_values' as table_name, metric as named
from {{ ref('review_values') }}
where
    scope_kind <> 'platform'
    and metric in ('provider_cost_usd', 'margin_usd', 'margin_rate', 'payments_usd', 'provider_cost_per_credit_usd')

union all

select scope_kind, scope_id, 'review_restatements' as table_name, measure as named
from {{ ref('review_restatements') }}
where scope_kind <> 'platform' and measure = 'provider_cost_usd'

union all

select scope_kind, scope_id, 'review_findings' as table_name, rule as named
from {{ ref('review_findings') }}
where scope_kind <> 'platform'

union all

select scope_kind, scope_id, 'review_decisions' as table_name, rule as named
from {{ ref('review_decisions') }}
where scope_kind <> 'platform' and rule in ('ledger_breaks', 'margin_negative')

union all

select scope_kind, scope_id, 'review_slow_calls' as table_name, call_id as named
from {{ ref('review_slow_calls') }}
where scope_kind <> 'platform'

union all

select scope_kind, scope_id, 'review_cohorts' as table_name, cohort as named
from {{ ref('review_cohorts') }}
where scope_kind <> 'platform'
