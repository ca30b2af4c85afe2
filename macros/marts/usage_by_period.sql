{#-
    Usage of one kind of entity (columns `keys`; none: the platform) by one period type.

    From single jobs, calls and ledger rows, never rolled up from a shorter period: a
    percentile, an average or a distinct count of days is not that of the week. Jobs,
    calls and credits are cut each by its own clock, then joined; an entity has a row for
    a period with any of the three, the platform for every period.
-#}
{%- macro usage_by_period(period_type, keys) -%}
{{ replaced_when_touched('period_start_date', period_type, in_portions=true) }}
with

periods as (

    {{ periods_of_type(period_type) }}

),

job_rows as (

    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        {{ period_start('job_date', period_type) }} as period_start_date,
        team_id as job_team_id,
        user_id,
        outcome,
        total_microseconds

    from {{ ref('fct_jobs') }}
    where {{ is_touched('job_date', period_type) }}

),

jobs as (

    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        period_start_date,
        count(*) as job_count,
        {%- for outcome in ['completed', 'failed', 'cancelled', 'open', 'other'] %}
        count(case when outcome = '{{ outcome }}' then 1 end) as {{ outcome }}_job_count,
        {%- endfor %}
        count(case when outcome in ('completed', 'failed', 'cancelled') then 1 end) as finished_job_count,
        count(distinct job_team_id) as active_team_count,
        sum(total_microseconds) as total_microseconds,
        count(total_microseconds) as timed_job_count,
        {{ percentile('total_microseconds', 0.95) }} as p95_total_microseconds

    from job_rows
    group by {{ (keys + ['period_start_date']) | join(', ') }}

),

-- a user is (team, user_id): two teams' "u1" are two people
users as (

    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        period_start_date,
        count(*) as active_user_count

    from (
        select distinct
            {%- for key in keys %}
            {{ key }},
            {%- endfor %}
            period_start_date,
            job_team_id,
            user_id

        from job_rows
        where user_id is not null
    ) as team_users
    group by {{ (keys + ['period_start_date']) | join(', ') }}

),

call_rows as (

    {{ calls_of_period(period_type, keys) }}

),

calls as (

    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        period_start_date,
        {{ call_aggregates() }}

    from call_rows
    group by {{ (keys + ['period_start_date']) | join(', ') }}

),

credit_rows as (

    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        {{ period_start('transaction_date', period_type) }} as period_start_date,
        case when movement in ('deduction', 'refund') then -credits_signed else 0 end as credits_used,
        case when movement in ('allocation', 'payment') then credits_signed else 0 end as credits_added

    from {{ ref('fct_credit_transactions') }}
    where {{ is_touched('transaction_date', period_type) }}

),

credits as (

    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        period_start_date,
        cast(sum(credits_used) as bigint) as credits_used,
        cast(sum(credits_added) as bigint) as credits_added

    from credit_rows
    group by {{ (keys + ['period_start_date']) | join(', ') }}

),

entities as (

    {% if keys -%}
    {%- for relation in ['jobs', 'calls', 'credits'] %}
    select
        {{ (keys + ['period_start_date']) | join(',\n        ') }}

    from {{ relation }}
    {% if not loop.last %}union{% endif %}
    {% endfor %}
    {%- else -%}
    select period_start_date from periods
    where {{ is_touched('period_start_date', period_type) }}
    {%- endif %}

),

final as (

    select
        {%- for key in keys %}
        entities.{{ key }},
        {%- endfor %}
        {{ period_columns() }},
        coalesce(jobs.job_count, 0) as job_count,
        {%- for outcome in ['completed', 'failed', 'cancelled', 'open', 'other'] %}
        coalesce(jobs.{{ outcome }}_job_count, 0) as {{ outcome }}_job_count,
        {%- endfor %}
        {{ ratio('jobs.failed_job_count', 'jobs.finished_job_count') }} as failure_rate,
        {{ ratio('jobs.completed_job_count', 'jobs.finished_job_count') }} as success_rate,
        coalesce(jobs.active_team_count, 0) as active_team_count,
        coalesce(users.active_user_count, 0) as active_user_count,
        {{ duration_ratio('jobs.total_microseconds', 'jobs.timed_job_count * 1000000') }} as avg_job_seconds,
        {{ seconds_from_microseconds('jobs.p95_total_microseconds') }} as p95_job_seconds,
        {{ call_measures() }},
        {{ money_ratio(sum_over_calls('calls', 'client_cost_usd'), 'jobs.job_count') }} as avg_cost_per_job_usd,
        coalesce(credits.credits_used, 0) as credits_used,
        coalesce(credits.credits_added, 0) as credits_added

    from entities

    inner join periods
        on entities.period_start_date = periods.period_start_date

    left join jobs
        on {{ same_keys('entities', 'jobs', keys) }}

    left join users
        on {{ same_keys('entities', 'users', keys) }}

    left join calls
        on {{ same_keys('entities', 'calls', keys) }}

    left join credits
        on {{ same_keys('entities', 'credits', keys) }}

)

select * from final
{#- DuckDB skips the blocks of other periods #}
order by period_start_date
{%- endmacro -%}
