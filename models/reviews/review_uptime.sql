{#- Grain: one row per review of the platform and component that was probed in its period. -#}
{%- set objective = "cast(" ~ var('uptime_objective') ~ " as numeric(6, 5))" -%}
{%- set budget = "((1 - " ~ objective ~ ") * (uptime.up_seconds + uptime.down_seconds))" -%}
with

uptime as (

    {% for kind, period_type in review_kinds() -%}
    select
        '{{ kind }}' as review_kind,
        period_start_date,
        component,
        availability,
        up_seconds,
        down_seconds,
        unknown_seconds,
        maintenance_seconds,
        latency_p95_ms,
        incident_count

    from {{ ref('component_uptime_' ~ kind) }}
    where probe_count > 0
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        cast(row_number() over (
            partition by reviews.review_kind, reviews.period_start_date
            order by components.is_required desc, uptime.component asc
        ) as integer) as list_position,
        uptime.component,
        components.is_required,
        uptime.availability,
        previous.availability as previous_availability,
        uptime.down_seconds,
        uptime.unknown_seconds,
        uptime.maintenance_seconds,
        uptime.latency_p95_ms,
        uptime.incident_count,
        {{ objective }} as objective,
        cast({{ budget }} as numeric(18, 6)) as budget_seconds,
        {{ ratio('uptime.down_seconds', budget) }} as budget_used

    from {{ ref('int_reviews') }} as reviews

    inner join uptime
        on
            reviews.review_kind = uptime.review_kind
            and reviews.period_start_date = uptime.period_start_date

    inner join {{ ref('int_components') }} as components
        on uptime.component = components.component

    -- the first period of a component has none before it
    left join uptime as previous
        on
            reviews.review_kind = previous.review_kind
            and reviews.previous_period_start_date = previous.period_start_date
            and uptime.component = previous.component

    where
        reviews.scope_kind = 'platform'
        and reviews.is_complete

)

select * from final
