{#- Grain: one row per platform, organization and team that was ever active, on the last complete day. -#}
{{ spikes_of(
    'traffic_spike',
    measures={
        'jobs': var('alert_traffic_spike_floor_jobs'), 'calls': var('alert_traffic_spike_floor_calls'),
    },
    fires=var('alert_traffic_spike_fires'),
    clears=var('alert_traffic_spike_clears'),
    evidence={
        'increase of jobs over the usual': "select team_id, job_type, count(*) as jobs, min(created_at) as first_at, "
        ~ "max(created_at) as last_at from marts.fct_jobs where $scope_id in ('platform', organization_id, team_id) "
        ~ "and created_at >= $window_start and created_at < $window_end "
        ~ "group by team_id, job_type order by jobs desc, team_id, job_type limit 5",
        'increase of calls over the usual': "select team_id, model_group, count(*) as calls, min(created_at) as first_at, "
        ~ "max(created_at) as last_at from marts.fct_llm_calls where $scope_id in ('platform', organization_id, team_id) "
        ~ "and created_at >= $window_start and created_at < $window_end "
        ~ "group by team_id, model_group order by calls desc, team_id, model_group limit 5",
    },
) }}
