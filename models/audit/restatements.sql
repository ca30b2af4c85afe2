{#-
    Grain: one row per team, day, measure and night that published another value for it
    than the night before.

    A night that is built again keeps what its first build replaced as the old value.
-#}
with

restated_now as (

    select * from {{ ref('int_usage_restated') }}

),

restated_before as (

    select * from {{ ref('stg_saas__published_restatements') }}
    where restated_as_of <= {{ as_of() }}

),

merged as (

    select
        coalesce(restated_before.team_id, restated_now.team_id) as team_id,
        coalesce(restated_before.period_start_date, restated_now.period_start_date) as period_start_date,
        coalesce(restated_before.measure, restated_now.measure) as measure,
        case
            when restated_before.team_id is not null then restated_before.old_value else restated_now.old_value
        end as expected,
        case
            when restated_now.team_id is not null then restated_now.new_value else restated_before.new_value
        end as actual,
        coalesce(restated_now.cause, restated_before.cause) as cause,
        coalesce(restated_before.published_as_of, restated_now.published_as_of) as published_as_of,
        coalesce(restated_before.restated_as_of, {{ as_of() }}) as restated_as_of

    from restated_before

    full join restated_now
        on
            restated_before.team_id = restated_now.team_id
            and restated_before.period_start_date = restated_now.period_start_date
            and restated_before.measure = restated_now.measure
            and restated_before.restated_as_of = {{ as_of() }}

),

final as (

    select
        team_id,
        period_start_date,
        measure,
        expected as old_value,
        actual as new_value,
        expected,
        actual,
        cast(actual - expected as numeric(28, 8)) as difference,
        {{ age_in_days('restated_as_of') }} as age_days,
        case
            when measure in ('provider_cost_usd', 'client_cost_usd') then cast(actual - expected as numeric(28, 8))
        end as dollars,
        cause,
        published_as_of,
        restated_as_of

    from merged

)

select * from final
