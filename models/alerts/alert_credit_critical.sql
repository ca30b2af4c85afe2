{#- Grain: one row per team with credits, now. -#}
with

balances as (

    select * from {{ ref('int_alert_balances') }}

),

measured as (

    select
        'team' as scope_kind,
        team_id as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        organization_id,
        'credits remaining' as measure,
        credits_remaining as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        cast(null as bigint) as volume,
        cast(null as timestamp) as window_start,
        balance_as_of as window_end,
        balance_as_of as data_as_of,
        case when credits_remaining is null then 'its credits are not known' end as unknown_reason,
        cast(null as {{ dbt.type_string() }}) as severity,
        true as is_supported

    from balances

)

{{ alert_candidates_of(
    'measured',
    rule='credit_critical',
    fires='<=',
    threshold=var('alert_credit_critical'),
    clear_threshold=var('alert_credit_critical'),
    evidence=evidence_of_ledger(),
) }}
