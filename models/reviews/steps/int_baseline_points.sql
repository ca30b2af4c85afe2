{#-
    Grain: one row per kind of review, scope, metric and comparable period; is_changed: a
    known change makes it the first of a new baseline.
-#}
with

comparable as (

    select * from {{ ref('review_values') }}
    where is_comparable

),

changes as (

    select * from {{ ref('review_known_changes') }}

),

changed as (

    select distinct
        {{ review_keys('comparable') }},
        comparable.metric,
        comparable.period_start_date

    from comparable

    inner join changes
        on
            (changes.review_kind = '*' or comparable.review_kind = changes.review_kind)
            and comparable.scope_kind = changes.scope_kind
            and (changes.scope_id = '*' or comparable.scope_id = changes.scope_id)
            and (changes.metric = '*' or comparable.metric = changes.metric)
            and comparable.period_start_date <= changes.changed_on
            and comparable.period_end_date > changes.changed_on

),

final as (

    select
        {{ review_keys('comparable') }},
        comparable.metric,
        comparable.period_start_date,
        cast(comparable.period_end_date - interval '1 day' as date) as period_last_date,
        case when comparable.is_judged then comparable.metric_value end as metric_value,
        changed.period_start_date is not null as is_changed

    from comparable

    left join changed
        on
            {{ same_review('comparable', 'changed') }}
            and comparable.metric = changed.metric

)

select * from final
