select
    jobs.job_id,
    jobs.team_id,
    coalesce(jobs.organization_id, teams.organization_id, 'unassigned') as organization_id,
    jobs.user_id,
    lower(jobs.status) as status,
    epoch_us(jobs.completed_at) - epoch_us(jobs.created_at) as duration_us,
    jobs.created_at
from {{ ref('stg_jobs') }} as jobs
left join {{ ref('stg_teams') }} as teams using (team_id)
