{#-
    Grain: one row per review, earlier period and measure that the nights since the issue
    before it have restated; what later nights restated stands beside. An issue is made by
    the night of the day after its period.
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

matched as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        case reviews.review_kind
            {%- for kind, period_type in review_kinds() %}
            when '{{ kind }}' then {{ period_start('restated.restated_date', period_type) }}
            {%- endfor %}
        end as restated_start_date,
        restated.measure,
        restated.restated_date,
        restated.difference,
        restated.cause,
        restated.restated_as_of,
        reviews.until >= restated.restated_as_of as is_of_issue

    from reviews

    inner join {{ ref('int_scope_restatements') }} as restated
        on
            reviews.scope_kind = restated.scope_kind
            and reviews.scope_id = restated.scope_id
            and reviews.period_start_date > restated.restated_date
            and reviews.since < restated.restated_as_of

),

ranked as (

    select
        *,
        row_number() over (
            partition by {{ review_keys() }}, period_start_date, restated_start_date, measure, is_of_issue
            order by restated_as_of desc, cause asc
        ) as recency

    from matched

),

added_up as (

    select
        {{ review_keys() }},
        period_start_date,
        restated_start_date,
        measure,
        sum(case when is_of_issue then difference end) as difference,
        coalesce(sum(case when not is_of_issue then difference end), 0) as later_difference,
        count(distinct case when is_of_issue then restated_date end) as day_count,
        max(case when is_of_issue and recency = 1 then cause end) as cause,
        max(case when is_of_issue then restated_as_of end) as restated_as_of

    from ranked
    group by {{ review_keys() }}, period_start_date, restated_start_date, measure

)

select * from added_up
where difference <> 0
