{#- Grain: one row per organization that exists now: what people's queries call `organizations`. -#}
select
    organization_id,
    organization_name as name,
    status,
    created_at,
    updated_at

from {{ ref('stg_saas__organizations') }}
