{#-
    Grain: one row per failed call that repeats a successful one: the provider answered,
    with empty choices, and the platform stored the answer and its own error.

    Both rows are written within milliseconds (13 pairs recorded, at most 1.4 ms apart).
-#}
{{ config(tags=['each_build']) }}
select distinct failures.call_id
from {{ ref('stg_saas__llm_calls') }} as failures

inner join {{ ref('stg_saas__llm_calls') }} as successes
    on
        failures.job_id = successes.job_id
        and failures.model_group = successes.model_group
        and successes.error is null
        and successes.created_at between failures.created_at - interval '1 second' and failures.created_at
        and {{ is_touched('successes.created_at', 'read') }}

where
    failures.error like '%list index out of range%'
    and {{ exists_at_as_of('failures.created_at') }}
    and {{ is_touched('failures.created_at', 'read') }}
