{#- Grain: one row per complete week, rule and source table with rows of the week that broke the rule. -#}
with

weeks as (

    select
        period_start_date,
        period_end_date

    from {{ ref('platform_usage_weekly') }}
    where is_complete

),

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
        weeks.period_start_date,
        findings.rule,
        findings.table_name,
        cast(sum(findings.actual) as bigint) as affected_row_count,
        cast(sum(findings.dollars) as numeric(28, 8)) as cost_usd

    from weeks

    inner join findings
        on
            weeks.period_start_date <= findings.finding_date
            and weeks.period_end_date > findings.finding_date

    group by weeks.period_start_date, findings.rule, findings.table_name

)

select * from final
