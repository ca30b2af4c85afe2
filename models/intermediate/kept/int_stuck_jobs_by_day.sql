{#- Grain: one row per team, organization, job type and local day some of whose jobs are stuck. -#}
{{ replaced_when_touched('job_date', 'day') }}
select
    organization_id,
    team_id,
    job_type,
    job_date,
    count(*) as job_count

from {{ ref('fct_jobs') }}
where
    is_stuck
    and {{ is_touched('job_date', 'day') }}
group by organization_id, team_id, job_type, job_date
