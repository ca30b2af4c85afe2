{#- Grain: one row per team that is not deleted, and per model ever called. -#}
select
    'team' as scope_kind,
    team_id as scope_id,
    organization_id

from {{ ref('dim_teams') }}
where not is_deleted

union all

select
    'model' as scope_kind,
    model as scope_id,
    cast(null as {{ dbt.type_string() }}) as organization_id

from {{ ref('model_usage_daily') }}
group by model
