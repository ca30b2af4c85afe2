{#-
    Grain: one row per scope, measure (client cost, jobs, calls) and complete local day of the baseline's
    weeks up to the last complete one at the moment of evaluation; a day without anything is 0, a cost that
    is not known is null. A scope has no days before its first.
-#}
with

moment as (

    select
        last_complete_date,
        last_complete_date - 7 * {{ var('alert_spike_weeks') }} as first_date

    from {{ ref('int_alert_moment') }}

),

found as (

    select * from {{ ref('int_alert_active_values') }}

),

scopes as (

    select * from {{ ref('int_alert_active_scopes') }}

),

spine as (

    select
        scopes.*,
        dates.calendar_date as value_date

    from scopes
    cross join moment
    inner join {{ ref('dim_dates') }} as dates
        on
            dates.calendar_date >= greatest(scopes.first_active_date, moment.first_date)
            and dates.calendar_date <= moment.last_complete_date

),

final as (

    select
        spine.scope_kind,
        spine.scope_id,
        spine.organization_id,
        spine.measure,
        spine.first_active_date,
        spine.value_date,
        {{ iso_part('isodow', 'spine.value_date') }} as weekday,
        case when found.is_active is null then 0 else found.value end as value

    from spine

    -- a day without anything
    left join found
        on
            spine.scope_kind = found.scope_kind
            and spine.scope_id = found.scope_id
            and spine.measure = found.measure
            and spine.value_date = found.value_date

)

select * from final
