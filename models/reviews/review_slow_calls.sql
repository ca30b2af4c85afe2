{#- Grain: one row per weekly review of the platform and place: the slowest calls of its week, by their ids. -#}
{{ replaced_when_touched('period_start_date', 'week') }}
with

slow_calls as (

    select
        call_id,
        team_id,
        model_group,
        model,
        created_at,
        latency_ms,
        {{ period_start('call_date', 'week') }} as period_start_date

    from {{ ref('fct_llm_calls') }}
    where
        not is_failed
        and latency_ms > {{ var('slow_call_ms') }}
        and {{ is_touched('call_date', 'week') }}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        cast(row_number() over (
            partition by reviews.period_start_date
            order by slow_calls.latency_ms desc, slow_calls.call_id asc
        ) as integer) as list_position,
        slow_calls.call_id,
        slow_calls.team_id,
        slow_calls.model_group,
        slow_calls.model,
        slow_calls.created_at,
        cast(slow_calls.latency_ms as numeric(18, 3)) as latency_ms

    from {{ ref('int_reviews') }} as reviews

    inner join slow_calls
        on reviews.period_start_date = slow_calls.period_start_date

    where
        reviews.review_kind = 'weekly'
        and reviews.scope_kind = 'platform'
        and reviews.is_complete

)

select * from final
where list_position <= {{ review_rule('listed_slow_calls') }}
