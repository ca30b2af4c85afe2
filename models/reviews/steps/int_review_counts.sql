{#- Grain: one row per review of a complete period: how many of its metrics left their normal range. -#}
with

kpis as (

    select * from {{ ref('review_kpis') }}

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        cast(count(*) as integer) as metric_count,
        cast(count(signal_position) as integer) as signal_count,
        cast(sum(case when tone = 'bad' then 1 else 0 end) as integer) as bad_signal_count,
        cast(sum(case when status = 'normal' then 1 else 0 end) as integer) as normal_count,
        cast(sum(case when status = 'not enough data' then 1 else 0 end) as integer) as undecided_count,
        -- signals that the sentence names
        cast(least(count(signal_position), {{ review_rule('named_signals') }}) as integer) as named_count,
        max(case when signal_position = 1 and is_plural then 1 else 0 end) = 1 as is_first_signal_plural

    from kpis
    group by {{ review_keys() }}, period_start_date

)

select * from final
