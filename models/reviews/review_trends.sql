{#-
    Grain: one row per review, core metric, panel (week, month) and place of its trend:
    the last whole weeks and months that ended with the review's period or before it, each
    beside the same ISO week or month a year earlier.
-#}
{{ replaced_when_reviewed() }}
{%- set panels = [('week', 'weekly', review_rule('trend_weeks')), ('month', 'monthly', review_rule('trend_months'))] -%}
with

reviews as (

    select * from {{ ref('int_reviews') }} as reviews
    where {{ is_made_anew('reviews') }}

),

metric_values as (

    select metric_values.*

    from {{ ref('review_values') }} as metric_values

    inner join {{ ref('review_metrics') }} as metrics
        on metric_values.metric = metrics.metric

    where
        metrics.is_core
        and metric_values.is_complete

),

shown as (

    {% for panel, kind, places in panels -%}
    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        points.metric,
        '{{ panel }}' as panel,
        {{ places }} + 1 - row_number() over (
            partition by {{ review_keys('reviews') }}, reviews.period_start_date, points.metric
            order by points.period_start_date desc
        ) as position,
        points.period_start_date as point_start_date,
        points.metric_value as value,
        cast(points.period_start_date - interval '{{ "364 days" if panel == "week" else "12 months" }}' as date)
            as year_ago_start_date

    from reviews

    inner join metric_values as points
        on
            points.review_kind = '{{ kind }}'
            and reviews.scope_kind = points.scope_kind
            and reviews.scope_id = points.scope_id
            and reviews.period_end_date >= points.period_end_date
            -- the last whole one ended less than one before the review's end
            and points.period_end_date > reviews.period_end_date - interval '{{ places + 1 }} {{ panel }}'
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        {{ review_keys('shown') }},
        shown.period_start_date,
        shown.metric,
        shown.panel,
        cast(shown.position as integer) as position,
        shown.point_start_date,
        shown.value,
        year_ago.metric_value as year_ago_value

    from shown

    -- a scope younger than a year
    left join metric_values as year_ago
        on
            case shown.panel when 'week' then 'weekly' else 'monthly' end = year_ago.review_kind
            and shown.scope_kind = year_ago.scope_kind
            and shown.scope_id = year_ago.scope_id
            and shown.metric = year_ago.metric
            and shown.year_ago_start_date = year_ago.period_start_date

    where shown.position >= 1

)

select * from final
