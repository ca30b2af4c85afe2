{#- Grain: one row per component and stretch of maintenance; stretches neither overlap nor touch. -#}
{{ config(materialized='table') }}
with

windows as (

    select
        components.component,
        windows.starts_at,
        windows.ends_at

    from {{ ref('int_components') }} as components

    inner join {{ ref('stg_ops__maintenance_windows') }} as windows
        on components.component = windows.component or windows.component is null

    where windows.starts_at < windows.ends_at and {{ exists_at_as_of('windows.created_at') }}

),

entered as (

    select
        *,
        max(ends_at) over (
            partition by component
            order by starts_at, ends_at
            rows between unbounded preceding and 1 preceding
        ) as maintained_until

    from windows

),

numbered as (

    select
        *,
        sum(case when starts_at <= maintained_until then 0 else 1 end) over (
            partition by component
            order by starts_at, ends_at
            rows between unbounded preceding and current row
        ) as stretch_number

    from entered

),

final as (

    select
        component,
        min(starts_at) as starts_at,
        max(ends_at) as ends_at

    from numbered
    group by component, stretch_number

)

select * from final
