{#- Grain: one row per platform, organization, team and model that was ever active, on the last complete day. -#}
{{ spikes_of(
    'cost_spike',
    measures={'client cost': var('alert_cost_spike_floor_usd')},
    fires=var('alert_cost_spike_fires'),
    clears=var('alert_cost_spike_clears'),
    evidence="select job_id, team_id, job_type, count(*) as calls, sum(total_tokens) as tokens, "
    ~ "sum(client_cost_usd) as client_cost_usd from marts.fct_llm_calls "
    ~ "where $scope_id in ('platform', organization_id, team_id, model) "
    ~ "and created_at >= $window_start and created_at < $window_end "
    ~ "group by job_id, team_id, job_type order by client_cost_usd desc nulls last, job_id limit 5",
) }}
