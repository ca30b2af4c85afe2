{#- Grain: one row per component that was ever probed. -#}
{{ config(materialized='ephemeral') }}
select
    component,
    min(checked_at) as first_checked_at,
    -- as the newest probe has it
    coalesce(max(case when is_required then checked_at end) = max(checked_at), false) as is_required

from {{ ref('stg_ops__health_probes') }}
where {{ exists_at_as_of('checked_at') }}
group by component
