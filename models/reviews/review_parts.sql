{#- Grain: one row per review, dimension (team, job_type) and place: by client cost, then everything else as one. -#}
{{ replaced_when_reviewed() }}

{%- set listed = {'team': review_rule('listed_teams'), 'job_type': review_rule('listed_job_types')} -%}
{%- set measures = [
    'client_cost_usd', 'job_count', 'completed_job_count', 'failed_job_count', 'cancelled_job_count', 'credits_used',
] -%}
{%- set previous_measures = ['client_cost_usd', 'job_count'] -%}

with

ranked as (

    select
        *,
        case dimension
            {%- for dimension, count in listed.items() %}
            when '{{ dimension }}' then {{ count }}
            {%- endfor %}
        end as listed_count,
        row_number() over (
            partition by {{ review_keys() }}, period_start_date, dimension
            order by client_cost_usd desc nulls last, job_count desc, part_name asc
        ) as list_rank

    from {{ ref('int_review_parts') }}
    where dimension in ('{{ listed | join("', '") }}')

),

folded as (

    select
        {{ review_keys() }},
        period_start_date,
        dimension,
        listed_count,
        least(list_rank, listed_count + 1) as list_position,
        max(case when list_rank <= listed_count then part_name end) as part_name,
        count(*) as member_count,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        {%- for measure in previous_measures %}
        sum(previous_{{ measure }}) as previous_{{ measure }}{% if not loop.last %},{% endif %}
        {%- endfor %}

    from ranked
    group by {{ review_keys() }}, period_start_date, dimension, listed_count, least(list_rank, listed_count + 1)

),

final as (

    select
        {{ review_keys('folded') }},
        folded.period_start_date,
        folded.dimension,
        cast(folded.list_position as integer) as list_position,
        case when folded.list_position <= folded.listed_count then 'member' else 'rest' end as row_kind,
        cast(folded.member_count as integer) as member_count,
        folded.part_name,
        organizations.organization_name,
        {{ review_cost_and_jobs('folded') }}

    from folded

    -- a job type, everything else, a team whose organization is not known
    left join {{ ref('int_scope_organizations') }} as organizations
        on
            folded.scope_kind = 'platform'
            and folded.dimension = organizations.scope_kind
            and folded.part_name = organizations.scope_id

)

select * from final
