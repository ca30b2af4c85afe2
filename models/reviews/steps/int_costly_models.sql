{#-
    Grain: one row per team, period and model that takes a good share of its client cost
    while the team also uses a much cheaper one of the same model group.
-#}
with

usage as (

    {% for kind, period_type in review_kinds() -%}
    select
        '{{ kind }}' as review_kind,
        team_id,
        period_start_date,
        model_group,
        model,
        client_cost_usd,
        {{ money_ratio('client_cost_usd * 1000', 'total_tokens') }} as thousand_tokens_usd,
        sum(client_cost_usd) over (partition by team_id, period_start_date) as team_cost_usd

    from {{ ref('model_usage_' ~ kind) }}
    where
        client_cost_usd > 0
        and total_tokens > 0
        and unpriced_call_count = 0
        and team_id <> 'unassigned'
        and period_start_date >= {{ tenants_reviewed_from(period_type) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

ranked as (

    select
        *,
        row_number() over (
            partition by review_kind, team_id, period_start_date, model_group
            order by thousand_tokens_usd asc, model asc
        ) as cheapness,
        {{ ratio('client_cost_usd', 'team_cost_usd') }} as share

    from usage

),

final as (

    select
        costly.review_kind,
        'team' as scope_kind,
        costly.team_id as scope_id,
        costly.period_start_date,
        'costly_model' as rule,
        costly.model as subject,
        cheap.model as other,
        cast(null as bigint) as count,
        costly.thousand_tokens_usd as amount,
        cheap.thousand_tokens_usd as other_amount,
        costly.share

    from ranked as costly

    inner join ranked as cheap
        on
            costly.review_kind = cheap.review_kind
            and costly.team_id = cheap.team_id
            and costly.period_start_date = cheap.period_start_date
            and costly.model_group = cheap.model_group
            and cheap.cheapness = 1
            and costly.thousand_tokens_usd >= cheap.thousand_tokens_usd * {{ review_rule('costly_model_factor') }}

    where costly.share >= {{ review_rule('costly_model_share') }}

)

select * from final
