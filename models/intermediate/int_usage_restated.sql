{#-
    Grain: one row per team, complete day and measure whose published value is not what the
    source says now. A published day without a row now had its rows deleted: it is 0.
-#}
{{ config(tags=['each_build']) }}
{%- set measures = [
    'job_count', 'completed_job_count', 'failed_job_count', 'call_count', 'total_tokens', 'provider_cost_usd',
    'client_cost_usd', 'credits_used', 'credits_added',
] -%}
with

nights as (

    select * from {{ ref('stg_saas__published_nights') }}
    where published_as_of <= {{ as_of() }}

),

published as (

    select usage.*
    from {{ ref('stg_saas__published_usage') }} as usage

    cross join nights

),

rebuilt as (

    select usage.*
    from {{ ref('team_usage_daily') }} as usage

    -- days that were complete when the last night was published
    inner join nights
        on usage.period_start_date < nights.complete_until_date

    where {{ is_touched('usage.period_start_date', 'day') }}

),

compared as (

    select
        coalesce(published.team_id, rebuilt.team_id) as team_id,
        coalesce(published.period_start_date, rebuilt.period_start_date) as period_start_date,
        {%- for measure in measures %}
        case when published.team_id is null then 0 else published.{{ measure }} end as old_{{ measure }},
        case when rebuilt.team_id is null then 0 else rebuilt.{{ measure }} end as new_{{ measure }},
        {%- endfor %}
        coalesce(rebuilt.job_count, 0) + coalesce(rebuilt.call_count, 0)
        - coalesce(published.job_count, 0) - coalesce(published.call_count, 0) as added_row_count

    from published

    full join rebuilt
        on
            published.team_id = rebuilt.team_id
            and published.period_start_date = rebuilt.period_start_date

),

restated as (

    {% for measure in measures -%}
    select
        team_id,
        period_start_date,
        '{{ measure }}' as measure,
        cast(old_{{ measure }} as numeric(28, 8)) as old_value,
        cast(new_{{ measure }} as numeric(28, 8)) as new_value,
        case
            when added_row_count > 0 then 'rows_added'
            when added_row_count < 0 then 'rows_removed'
            else 'values_changed'
        end as cause

    from compared
    where old_{{ measure }} is distinct from new_{{ measure }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select
        restated.*,
        nights.published_as_of

    from restated

    cross join nights

)

select * from final
