{#-
    Grain: one row per source of the rules on security: why it cannot be asked (null: it can), how far it reaches,
    and up to when its scopes can be clear (null: a source that is not there holds nothing back).
-#}
{%- set sources = {
    'access_log': 'the access log of the reverse proxy',
    'litellm_failures': 'the spend logs of the LiteLLM proxy',
    'admin_sessions': 'the sign-ins of admins (admin_sessions)',
} -%}
with

moment as (

    select * from {{ ref('int_alert_moment') }}

),

noted as (

    select * from {{ source('security', 'security_sources') }}

),

names as (
    {%- for name, described in sources.items() %}
    select '{{ name }}' as source_name, '{{ described }}' as described
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

final as (

    select
        names.source_name,
        case
            when not coalesce(noted.is_present, false) then 'no source: ' || names.described
            when noted.read_as_of is null then 'not read to its end yet: ' || names.described
            when noted.read_as_of < moment.evaluated_at - {{ var('alert_source_stale_hours') }} * interval '1 hour'
                then 'not read for {{ var("alert_source_stale_hours") }} hours: ' || names.described
        end as unknown_reason,
        least(coalesce(noted.read_as_of, moment.evaluated_at), moment.evaluated_at) as data_as_of,
        -- one that was taken away is waited for, but not for ever
        case
            when
                noted.read_as_of is not null
                and (
                    noted.is_present
                    or noted.read_as_of
                    >= moment.evaluated_at - {{ var('alert_security_memory_hours') }} * interval '1 hour'
                )
                then least(noted.read_as_of, moment.evaluated_at)
        end as clear_until,
        moment.evaluated_at

    from names
    cross join moment

    -- landed by a version that knew no such source
    left join noted
        on names.source_name = noted.source_name

    union all

    select
        'platform' as source_name,
        cast(null as {{ dbt.type_string() }}) as unknown_reason,
        data_as_of,
        data_as_of as clear_until,
        evaluated_at

    from moment

)

select * from final
