{#-
    Grain: one row per monthly review of the platform and cohort of its teams: new, first
    active in the month; continuing, also the month before; returned, active and not the
    month before; dormant, active the month before only; lost, last active before that.
-#}
{%- set cohorts = ['new', 'continuing', 'returned', 'dormant', 'lost'] -%}
with

reviews as (

    select * from {{ ref('int_reviews') }}
    where
        review_kind = 'monthly'
        and scope_kind = 'platform'
        and is_complete

),

placed as (

    select * from {{ ref('int_team_cohorts') }}

),

counted as (

    {% for cohort in cohorts -%}
    select
        period_start_date,
        {{ loop.index }} as list_position,
        '{{ cohort }}' as cohort,
        count(case when cohort = '{{ cohort }}' then 1 end) as team_count,
        -- teams that did nothing cost nothing
        case
            when count(case when cohort = '{{ cohort }}' and is_active then 1 end) = 0 then 0
            else sum(case when cohort = '{{ cohort }}' then client_cost_usd end)
        end as client_cost_usd

    from placed
    group by period_start_date
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        cast(counted.list_position as integer) as list_position,
        counted.cohort,
        cast(counted.team_count as integer) as team_count,
        cast(previous.team_count as integer) as previous_team_count,
        cast(counted.client_cost_usd as numeric(28, 8)) as client_cost_usd

    from reviews

    inner join counted
        on reviews.period_start_date = counted.period_start_date

    -- the platform's first month
    left join counted as previous
        on
            reviews.previous_period_start_date = previous.period_start_date
            and counted.cohort = previous.cohort

)

select * from final
