{#- Grain: one row per review and model group (of a team: model) with a successful call; an organization has none. -#}
{{ replaced_when_reviewed() }}
with

latencies as (

    {% for kind, period_type in review_kinds() -%}
    select
        '{{ kind }}' as review_kind,
        'platform' as scope_kind,
        'platform' as scope_id,
        period_start_date,
        model_group,
        latency_call_count,
        {%- for measure in ['p50', 'p95', 'p99', 'max'] %}
        latency_{{ measure }}_ms{% if not loop.last %},{% endif %}
        {%- endfor %}

    from {{ ref('int_group_latencies_by_' ~ period_type) }}

    union all

    select
        '{{ kind }}' as review_kind,
        'team' as scope_kind,
        team_id as scope_id,
        period_start_date,
        model_group || ': ' || model as model_group,
        latency_call_count,
        {%- for measure in ['p50', 'p95', 'p99', 'max'] %}
        latency_{{ measure }}_ms{% if not loop.last %},{% endif %}
        {%- endfor %}

    from {{ ref('model_usage_' ~ kind) }}
    where team_id <> 'unassigned'
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        cast(row_number() over (
            partition by {{ review_keys('reviews') }}, reviews.period_start_date
            order by latencies.latency_p95_ms desc, latencies.model_group asc
        ) as integer) as list_position,
        latencies.model_group,
        cast(latencies.latency_call_count as bigint) as latency_call_count,
        {%- for measure in ['p50', 'p95', 'p99', 'max'] %}
        cast(latencies.latency_{{ measure }}_ms as numeric(18, 3)) as latency_{{ measure }}_ms,
        {%- endfor %}
        cast(previous.latency_p95_ms as numeric(18, 3)) as previous_latency_p95_ms

    from {{ ref('int_reviews') }} as reviews

    inner join latencies
        on {{ same_review('reviews', 'latencies') }}

    -- a group not called in the period before
    left join latencies as previous
        on
            {{ same_review('reviews', 'previous', period=false) }}
            and reviews.previous_period_start_date = previous.period_start_date
            and latencies.model_group = previous.model_group

    where
        {{ is_made_anew('reviews') }}
        and latencies.latency_max_ms is not null

)

select * from final
