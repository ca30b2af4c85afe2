{#- Grain: one row per component that was ever probed. -#}
{{ config(materialized='ephemeral') }}
select
    component,
    min(checked_at) as first_checked_at

from {{ ref('stg_ops__health_probes') }}
where {{ exists_at_as_of('checked_at') }}
group by component
