{#-
    Grain: one row per review, earlier period and measure that the nights since the issue
    before it have restated. An issue is made by the night of the day after its period.
-#}
with

reviews as (

    select
        *,
        {{ day_start("cast(period_start_date + interval '1 day' as date)") }} as since,
        {{ day_start("cast(period_end_date + interval '1 day' as date)") }} as until

    from {{ ref('int_reviews') }}
    where is_complete

),

restated as (

    select
        restatements.*,
        teams.organization_id

    from {{ ref('restatements') }} as restatements

    -- a team that is gone
    left join {{ ref('dim_teams') }} as teams
        on restatements.team_id = teams.team_id

    where restatements.difference <> 0

),

scoped as (

    {% for scope_kind, key in [('platform', "'platform'"), ('organization', 'organization_id'), ('team', 'team_id')] -%}
    select
        '{{ scope_kind }}' as scope_kind,
        {{ key }} as scope_id,
        period_start_date as restated_date,
        measure,
        difference,
        cause,
        restated_as_of

    from restated
    {%- if scope_kind != 'platform' %}
    where measure <> 'provider_cost_usd'
    {%- endif %}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

added_up as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        case reviews.review_kind
            {%- for kind, period_type in review_kinds() %}
            when '{{ kind }}' then {{ period_start('scoped.restated_date', period_type) }}
            {%- endfor %}
        end as restated_start_date,
        scoped.measure,
        sum(scoped.difference) as difference,
        count(distinct scoped.restated_date) as day_count,
        max(scoped.cause) as cause,
        max(scoped.restated_as_of) as restated_as_of

    from reviews

    inner join scoped
        on
            reviews.scope_kind = scoped.scope_kind
            and reviews.scope_id = scoped.scope_id
            and reviews.period_start_date > scoped.restated_date
            and reviews.since < scoped.restated_as_of
            and reviews.until >= scoped.restated_as_of

    group by
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        case reviews.review_kind
            {%- for kind, period_type in review_kinds() %}
            when '{{ kind }}' then {{ period_start('scoped.restated_date', period_type) }}
            {%- endfor %}
        end,
        scoped.measure

)

select * from added_up
