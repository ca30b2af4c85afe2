{#- Grain: one row per team and version of its settings, with the half-open time in which it held. -#}
select
    team_id,
    organization_id,
    budget_mode,
    credit_limit,
    credits_per_dollar,
    tokens_per_credit,
    -- outside the source column's own range, or below giving everything away: not known
    case when markup_percentage between -100 and 999.99 then markup_percentage end as markup_percentage,
    status,
    -- the first known version holds since ever
    case
        when row_number() over (partition by team_id order by valid_from) = 1 then cast('0001-01-01' as timestamp)
        else valid_from
    end as valid_from,
    lead(valid_from) over (partition by team_id order by valid_from) as valid_to,
    missing_since

from {{ ref('stg_saas__team_versions') }}
