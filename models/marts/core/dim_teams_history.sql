{#- Grain: one row per team and version of its settings. -#}
select
    team_id,
    organization_id,
    budget_mode,
    credit_limit,
    credits_per_dollar,
    tokens_per_credit,
    markup_percentage,
    status,
    valid_from,
    valid_to,
    valid_to is null and missing_since is null as is_current

from {{ ref('int_team_versions') }}
