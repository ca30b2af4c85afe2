{#-
    Grain: one row per review that there can be: every period of the platform, open ones
    included; of tenants the complete ones of the last weeks and months in which, or
    before which, they did something. A table: nearly every list asks for it.

    is_made_anew: its lists are made by this build (see replaced_when_reviewed). Which reviews were there before,
    review_verdicts says as the last build left it: it is made after all such lists.
-#}
{{ config(materialized='table') }}
{%- set organizations = ref('int_scope_organizations') %}
with

scope_periods as (

    select
        *,
        dense_rank() over (
            partition by review_kind, is_complete
            order by period_start_date desc
        ) as periods_back,
        lag(has_row, 1, false) over (
            partition by {{ review_keys() }}
            order by period_start_date
        ) as had_row

    from {{ ref('int_scope_periods') }}

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        period_end_date,
        previous_period_start_date,
        is_complete,
        is_complete
        {%- if is_partial() %}
        and (
            coalesce({{ is_one_touched(review_periods_touched()) }}, false)
            or not exists (
                select 1
                from {{ kept_relation('reviews', 'review_verdicts') }} as made
                where
                    {{ same_review('scope_periods', 'made') }}
                    and made.is_complete
            )
            -- of the platform, whose lists name organizations, all when one has another name
            or (
                scope_kind = 'platform'
                and exists (
                    select 1
                    from {{ kept_relation('reviews', 'review_parts') }} as parts
                    left join {{ organizations }} as organizations
                        on
                            parts.dimension = organizations.scope_kind
                            and parts.part_name = organizations.scope_id
                    where
                        parts.scope_kind = 'platform'
                        and parts.organization_name is distinct from organizations.organization_name
                )
            )
        )
        {%- endif %} as is_made_anew,
        is_comparable,
        is_first,
        job_count > 0 or call_count > 0 as has_activity,
        open_job_count,
        unpriced_call_count

    from scope_periods
    where
        scope_kind = 'platform'
        or (
            is_complete
            and (has_row or had_row)
            and periods_back <= case review_kind
                when 'weekly' then {{ review_rule('tenant_weeks') }}
                else {{ review_rule('tenant_months') }}
            end
        )

)

select * from final
