{#-
    Queries of the rows that contribute most, of what the rules read: the landed rows, which a check between two
    nights has before any mart. They read the same on DuckDB and PostgreSQL, and take the parameters $scope_id,
    $window_start and $window_end (naive UTC).
-#}

{#- Failed jobs of a platform, organization, team or job type, by class; refusals left out, as the rule does. -#}
{%- macro evidence_of_failed_jobs() -%}
select error_class, count(*) as failed_jobs, min(created_at) as first_at, max(created_at) as last_at,
    min(job_id) as example_job_id
from (
    select jobs.job_id, jobs.created_at, {{ _first_class('jobs.job_id') }}
    from raw.jobs as jobs {{ _homes_and_classes('jobs.error_message') }}
    where jobs.created_at >= $window_start and jobs.created_at < $window_end and lower(jobs.status) = 'failed'
        and not {{ is_of_error_class('lower(jobs.error_message)', 'model_denied', 'alerts.error_classes') }}
        and $scope_id in ('platform', {{ _home() }}, jobs.team_id, jobs.job_type)
) as failed
where place_of_class = 1
group by error_class order by failed_jobs desc, error_class limit 5
{%- endmacro -%}

{#- The same of calls, by class and model group. -#}
{%- macro evidence_of_failed_calls() -%}
select error_class, model_group, count(*) as failed_calls, min(created_at) as first_at, max(created_at) as last_at,
    min(call_id) as example_call_id
from (
    select calls.call_id, calls.created_at, coalesce(calls.model_group_used, 'unknown') as model_group,
        {{ _first_class('calls.call_id') }}
    from raw.llm_calls as calls
    left join raw.jobs as jobs on calls.job_id = jobs.job_id and jobs.created_at < $window_end
        and jobs.created_at >= cast($window_end as timestamp) - interval '7 days'
    {{ _homes_and_classes('calls.error') }}
    where calls.created_at >= $window_start and calls.created_at < $window_end and calls.error is not null
        and lower(calls.error) not like '%list index out of range%'
        and not {{ is_of_error_class('lower(calls.error)', 'model_denied', 'alerts.error_classes') }}
        and $scope_id in (
            'platform', {{ _home() }}, coalesce(jobs.team_id, 'unassigned'), coalesce(jobs.job_type, 'unassigned')
        )
) as failed
where place_of_class = 1
group by error_class, model_group order by failed_calls desc, error_class, model_group limit 5
{%- endmacro -%}

{#- The slowest answers of a model group. -#}
{%- macro evidence_of_slow_calls() -%}
select calls.call_id, calls.job_id, jobs.team_id, calls.model, calls.latency_ms, calls.created_at
from (
    select call_id, job_id, coalesce(resolved_model, model_used) as model, latency_ms, created_at from raw.llm_calls
    where coalesce(model_group_used, 'unknown') = $scope_id and created_at >= $window_start and created_at < $window_end
        and error is null and latency_ms between 0 and 2147483647
    order by latency_ms desc, call_id limit 5
) as calls
left join raw.jobs as jobs on calls.job_id = jobs.job_id
order by calls.latency_ms desc, calls.call_id
{%- endmacro -%}

{#- The last rows of a team's ledger. -#}
{%- macro evidence_of_ledger() -%}
select created_at, transaction_type, credits_amount, credits_before, credits_after, job_id
from raw.credit_transactions where team_id = $scope_id and created_at < $window_end
order by created_at desc, transaction_id desc limit 5
{%- endmacro -%}

{%- macro evidence_of_sign_ins() -%}
select ip_address, min(created_at) as first_at, max(created_at) as last_at, count(*) as sign_ins
from raw.admin_sessions where user_id = $scope_id and created_at < $window_end
group by ip_address order by first_at desc, ip_address limit 5
{%- endmacro -%}

{#- Calls of a team to model groups that it never used before the window. -#}
{%- macro evidence_of_new_groups() -%}
select calls.model_group, count(*) as calls, min(calls.created_at) as first_at, max(calls.created_at) as last_at
from (
    select coalesce(calls.model_group_used, 'unknown') as model_group, calls.created_at
    from raw.llm_calls as calls inner join raw.jobs as jobs on calls.job_id = jobs.job_id
    where jobs.team_id = $scope_id and calls.created_at < $window_end
        and calls.created_at >= cast($window_end as timestamp) - interval '7 days'
        and not {{ is_of_error_class("lower(coalesce(calls.error, ''))", 'model_denied', 'alerts.error_classes') }}
) as calls
where calls.model_group <> 'unknown' and not exists (
    select 1 from marts.model_usage_daily as earlier
    where earlier.team_id = $scope_id and earlier.model_group = calls.model_group
        and earlier.period_start_date < cast($window_start as date)
)
group by calls.model_group having min(calls.created_at) >= $window_start
order by calls desc, calls.model_group limit 5
{%- endmacro -%}

{#- Jobs of a team by hour (UTC), beside how many it had in that hour of eight weeks: the oddest first. -#}
{%- macro evidence_of_odd_hours() -%}
select recent.is_weekend, recent.hour_of_day, recent.jobs, coalesce(usual.jobs, 0) as usual_jobs, recent.first_at, recent.last_at
from ({{ _jobs_by_hour('raw.jobs', 'created_at >= $window_start and created_at < $window_end') }}) as recent
left join ({{ _jobs_by_hour(
    'marts.fct_jobs',
    "created_at < $window_start and created_at >= cast($window_start as timestamp) - interval '56 days'",
) }}) as usual on recent.is_weekend = usual.is_weekend and recent.hour_of_day = usual.hour_of_day
order by usual_jobs, recent.jobs desc, recent.is_weekend, recent.hour_of_day limit 5
{%- endmacro -%}

{%- macro _jobs_by_hour(relation, within) -%}
select extract(isodow from created_at) >= 6 as is_weekend, cast(extract(hour from created_at) as integer) as hour_of_day,
    count(*) as jobs, min(created_at) as first_at, max(created_at) as last_at
from {{ relation }} where team_id = $scope_id and {{ within }}
group by extract(isodow from created_at) >= 6, cast(extract(hour from created_at) as integer)
{%- endmacro -%}

{%- macro _first_class(key) -%}
coalesce(classes.error_class, 'unclassified') as error_class,
    row_number() over (partition by {{ key }} order by classes.priority, versions.valid_from) as place_of_class
{%- endmacro -%}

{%- macro _homes_and_classes(error_text) -%}
    left join marts.dim_teams_history as versions on jobs.team_id = versions.team_id
        and jobs.created_at >= versions.valid_from and (jobs.created_at < versions.valid_to or versions.valid_to is null)
    left join raw.team_credits as teams on jobs.team_id = teams.team_id
    left join alerts.error_classes as classes on trim(lower({{ error_text }})) like coalesce(classes.pattern, '')
{%- endmacro -%}

{%- macro _home() -%}
coalesce(jobs.organization_id, versions.organization_id, teams.organization_id, 'unassigned')
{%- endmacro -%}
