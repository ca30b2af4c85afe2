{#- The columns that say which review a row is of; `relation` qualifies them. -#}
{%- macro review_keys(relation=none) -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {{ prefix }}review_kind,
        {{ prefix }}scope_kind,
        {{ prefix }}scope_id
{%- endmacro -%}

{#- Whether two relations are of one scope and kind of review; `period`: and of one period. -#}
{%- macro same_review(left, right, period=true) -%}
    {{ left }}.review_kind = {{ right }}.review_kind
            and {{ left }}.scope_kind = {{ right }}.scope_kind
            and {{ left }}.scope_id = {{ right }}.scope_id
            {%- if period %}
            and {{ left }}.period_start_date = {{ right }}.period_start_date
            {%- endif %}
{%- endmacro -%}

{#- The kinds of review, each with its period type and the suffix of its marts. -#}
{%- macro review_kinds() -%}
    {{ return([('weekly', 'week'), ('monthly', 'month')]) }}
{%- endmacro -%}

{#- First day of the period before (steps: so many before) that of a review's row. -#}
{%- macro earlier_period(start_date, review_kind, steps=1) -%}
    cast(case {{ review_kind }}
            {%- for kind, period_type in review_kinds() %}
            when '{{ kind }}' then {{ start_date }} - interval '{{ steps }} {{ period_type }}'
            {%- endfor %}
        end as date)
{%- endmacro -%}

{#-
    A date that no review of a tenant reaches before: an engine skips what is older. Of one period type, or of all;
    `before`: nor so many periods before it.
-#}
{%- macro tenants_reviewed_from(period_type=none, before=0) -%}
    {%- set today = local_date("covered_until - interval '1 microsecond'") -%}
    {%- set firsts = [] -%}
    {%- for type, periods in [('week', review_rule('tenant_weeks')), ('month', review_rule('tenant_months'))] -%}
        {%- if period_type in (none, type) -%}
            {%- set start = "date_trunc('" ~ type ~ "', " ~ today ~ ")" -%}
            {%- do firsts.append(start ~ " - interval '" ~ (periods + before) ~ " " ~ type ~ "s'") -%}
        {%- endif -%}
    {%- endfor -%}
    {#- the subquery is the whole of it: of a calculation with one, DuckDB skips nothing -#}
    (
        select cast({{ 'least(' ~ firsts | join(', ') ~ ')' if firsts | length > 1 else firsts[0] }} as date)
        from {{ ref('int_coverage') }}
    )
{%- endmacro -%}

{#-
    Whether a period of a scope is the platform's, or one that a tenant's reviews reach, or so many periods before it; in
    a partial build, whether reviews that are made anew reach it.
-#}
{%- macro is_near_reviews(before) -%}
    {%- set reviews = ref('int_reviews') -%}
    (
        {%- for kind, period_type in review_kinds() %}
        (
            review_kind = '{{ kind }}'
            and (scope_kind = 'platform' or period_start_date >= {{ tenants_reviewed_from(period_type, before) }})
            {%- if is_partial() %}
            and period_start_date >= (
                select cast(min(period_start_date) - interval '{{ before }} {{ period_type }}s' as date)
                from {{ reviews }}
                where
                    review_kind = '{{ kind }}'
                    and is_made_anew
            )
            {%- endif %}
        )
        {%- if not loop.last %} or {%- endif %}
        {%- endfor %}
    )
{%- endmacro -%}

{#- Expressions of the first days of a review table's periods, by the ranges of var `touched` that go on to the end. -#}
{%- macro review_periods_touched() -%}
    {{ return({
        'ledger_week': "case when review_kind = 'weekly' then period_start_date end",
        'ledger_month': "case when review_kind = 'monthly' then period_start_date end",
    }) }}
{%- endmacro -%}
