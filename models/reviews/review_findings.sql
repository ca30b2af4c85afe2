{#- Grain: one row per review of the platform, rule and source table with rows of the period that broke the rule. -#}
with

findings as (

    select
        rule,
        table_name,
        finding_date,
        actual,
        dollars

    from {{ ref('audit_findings') }}

),

final as (

    select
        {{ review_keys('reviews') }},
        reviews.period_start_date,
        findings.rule,
        findings.table_name,
        cast(sum(findings.actual) as bigint) as affected_row_count,
        cast(sum(findings.dollars) as numeric(28, 8)) as cost_usd

    from {{ ref('int_reviews') }} as reviews

    inner join findings
        on
            reviews.period_start_date <= findings.finding_date
            and reviews.period_end_date > findings.finding_date

    where
        reviews.scope_kind = 'platform'
        and reviews.is_complete
    group by {{ review_keys('reviews') }}, reviews.period_start_date, findings.rule, findings.table_name

)

select * from final
