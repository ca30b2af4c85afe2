{#- Grain: one row per monthly review and line of its credit statement; opening and movements are closing. -#}
{%- set lines = [
    ('opening', 'opening_balance'), ('allocated', 'credits_allocated'), ('purchased', 'credits_purchased'),
    ('adjusted', 'credits_adjusted'), ('used', '-credits_used'), ('unexplained', 'unexplained_credits'),
    ('closing', 'closing_balance'),
] -%}
with

balances as (

    select * from {{ ref('int_scope_balances') }}

),

reviews as (

    select * from {{ ref('int_reviews') }}
    where is_complete

),

lines as (

    {% for line, amount in lines -%}
    select
        {{ review_keys() }},
        period_start_date,
        {{ loop.index }} as line_position,
        '{{ line }}' as line,
        cast(sum({{ amount }}) as bigint) as credits

    from balances
    group by {{ review_keys() }}, period_start_date
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

),

final as (

    select lines.*

    from lines

    inner join reviews
        on {{ same_review('lines', 'reviews') }}

    -- what nothing explains has a line only when there is any
    where
        lines.line <> 'unexplained'
        or lines.credits <> 0

)

select * from final
