{#- Grain: one row per complete week and place: the teams by client cost, then everything else as one. -#}

{%- set listed_teams = review_rule('listed_teams') -%}
{%- set measures = [
    'client_cost_usd', 'job_count', 'completed_job_count', 'failed_job_count', 'cancelled_job_count', 'credits_used',
] -%}
{%- set previous_measures = ['client_cost_usd', 'job_count'] -%}

with

teams as (

    {{ beside_previous_week(ref('team_usage_weekly'), ['team_id'], measures, previous_measures) }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by period_start_date
            order by client_cost_usd desc nulls last, job_count desc, team_id asc
        ) as list_rank

    from teams

),

folded as (

    select
        period_start_date,
        least(list_rank, {{ listed_teams + 1 }}) as list_position,
        max(case when list_rank <= {{ listed_teams }} then team_id end) as team_id,
        count(*) as member_count,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        {%- for measure in previous_measures %}
        sum(previous_{{ measure }}) as previous_{{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}

    from ranked
    group by period_start_date, least(list_rank, {{ listed_teams + 1 }})

),

final as (

    select
        folded.period_start_date,
        cast(folded.list_position as integer) as list_position,
        case when folded.list_position <= {{ listed_teams }} then 'member' else 'rest' end as row_kind,
        cast(folded.member_count as integer) as member_count,
        folded.team_id,
        organizations.organization_name,
        {{ review_cost_and_jobs('folded') }}

    from folded

    -- everything else has no team
    left join {{ ref('dim_teams') }} as teams
        on folded.team_id = teams.team_id

    left join {{ ref('dim_organizations') }} as organizations
        on teams.organization_id = organizations.organization_id

)

select * from final
