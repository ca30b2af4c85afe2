{#- Grain: one row per normalised model that an alias names or a call used. -#}
with

aliases as (

    select
        actual_model as model,
        min(provider) as provider,
        min(display_name) as display_name,
        count(*) as alias_count,
        max(case when status = 'active' then 1 else 0 end) = 1 as is_active

    from {{ ref('stg_saas__model_aliases') }}
    group by actual_model

),

seen as (

    select
        model,
        min(provider) as provider,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at

    from {{ ref('int_models_seen_by_day') }}
    group by model

),

models as (

    select model from aliases
    where model is not null
    union
    select model from seen

),

final as (

    select
        models.model,
        coalesce(aliases.provider, seen.provider, 'unknown') as provider,
        aliases.display_name,
        coalesce(aliases.alias_count, 0) as alias_count,
        coalesce(aliases.is_active, false) as is_active,
        seen.first_seen_at,
        seen.last_seen_at

    from models

    -- a provider's dated name has no alias
    left join aliases
        on models.model = aliases.model

    -- an alias that nobody has used
    left join seen
        on models.model = seen.model

)

select * from final
