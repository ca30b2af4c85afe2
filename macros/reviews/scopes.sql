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
    `with_previous`: nor the period before it.
-#}
{%- macro tenants_reviewed_from(period_type=none, with_previous=false) -%}
    {%- set covered_until = '(select covered_until from ' ~ ref('int_coverage') ~ ')' -%}
    {%- set today = local_date(covered_until ~ " - interval '1 microsecond'") -%}
    {%- set firsts = [] -%}
    {%- for type, periods in [('week', review_rule('tenant_weeks')), ('month', review_rule('tenant_months'))] -%}
        {%- if period_type in (none, type) -%}
            {%- set back = periods + 1 if with_previous else periods -%}
            {%- do firsts.append("date_trunc('" ~ type ~ "', " ~ today ~ ") - interval '" ~ back ~ " " ~ type ~ "s'") -%}
        {%- endif -%}
    {%- endfor -%}
    cast({{ 'least(' ~ firsts | join(', ') ~ ')' if firsts | length > 1 else firsts[0] }} as date)
{%- endmacro -%}
