{#- Grain: one row per team whose every known version names an organization. -#}
select team_id
from {{ ref('int_team_versions') }}
group by team_id
having count(*) = count(organization_id)
