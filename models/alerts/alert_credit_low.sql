{#-
    Grain: one row per team with credits, now.

    At the information's share it opens, at the rule's it becomes a warning; a team with a threshold of its
    own has that alone. A team without credits left is credit_critical's.
-#}
with

balances as (

    select * from {{ ref('int_alert_balances') }}

),

overrides as (

    select * from {{ ref('alert_overrides') }}
    where rule = 'credit_low' and scope_kind = 'team'

),

shares as (

    select
        balances.*,
        case
            when
                balances.credits_allocated > 0
                and not ({{ is_nan('balances.credits_allocated') }} or {{ is_nan('balances.credits_remaining') }})
                then {{ exact_ratio('balances.credits_remaining', 'balances.credits_allocated', 8) }}
        end as remaining_share,
        overrides.threshold is not null as is_overridden,
        coalesce(overrides.threshold, {{ var('alert_credit_low_share') }}) as low_share,
        coalesce(overrides.threshold, {{ var('alert_credit_info_share') }}) as info_share

    from balances

    -- most teams have the threshold of the rule
    left join overrides
        on balances.team_id = overrides.scope_id

),

measured as (

    select
        'team' as scope_kind,
        team_id as scope_id,
        cast(null as {{ dbt.type_string() }}) as scope_name,
        organization_id,
        'share of the allocated credits that remains' as measure,
        remaining_share as observed_value,
        cast(null as numeric(28, 8)) as baseline_value,
        credits_remaining as volume,
        cast(null as timestamp) as window_start,
        balance_as_of as window_end,
        balance_as_of as data_as_of,
        case
            when credits_allocated is null or credits_remaining is null then 'its credits are not known'
            when credits_allocated <= 0 then 'no credits are allocated'
        end as unknown_reason,
        -- against the credits themselves, not against a rounded share
        case when credits_remaining > low_share * credits_allocated then 'info' end as severity,
        coalesce(credits_remaining <= info_share * credits_allocated, false) as is_supported,
        case
            when credits_remaining > low_share * credits_allocated then info_share else low_share
        end as own_threshold,
        case
            when is_overridden then info_share else {{ var('alert_credit_info_clears_share') }}
        end as own_clear_threshold

    from shares

)

{{ alert_candidates_of(
    'measured',
    rule='credit_low',
    fires='<=',
    threshold='own_threshold',
    clear_threshold='own_clear_threshold',
    evidence=evidence_of_ledger(),
    counted_unit="'credits'",
) }}
