{#- Grain: one row per review and place: what asks for a person, the most urgent first. -#}
{%- set rules = [
    'credits_exhausted', 'credits_low', 'ledger_breaks', 'margin_negative', 'failures_cost', 'jobs_stuck',
    'calls_unpriced', 'costly_model',
] -%}
with

decisions as (

    select
        {{ review_keys() }},
        period_start_date,
        rule,
        subject,
        other,
        count,
        amount,
        other_amount,
        share,
        cast(null as date) as on_date,
        cast(row_number() over (
            partition by {{ review_keys() }}, period_start_date, rule
            order by abs(amount) desc, subject asc
        ) as integer) as place

    from {{ ref('int_decisions_of_costs') }}

    union all

    select
        {{ review_keys() }},
        period_start_date,
        rule,
        subject,
        cast(null as {{ dbt.type_string() }}) as other,
        count,
        amount,
        cast(null as numeric(28, 8)) as other_amount,
        cast(null as numeric(18, 6)) as share,
        on_date,
        place

    from {{ ref('int_decisions_of_operation') }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by {{ review_keys() }}, period_start_date
            order by
                -- three of a rule at most before the others have had their turn
                case when place > 3 then 1 else 0 end asc,
                case rule
                    {%- for rule in rules %}
                    when '{{ rule }}' then {{ loop.index }}
                    {%- endfor %}
                end asc,
                place asc
        ) as list_position

    from decisions

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        cast(list_position as integer) as list_position,
        rule,
        subject,
        other,
        cast(count as bigint) as count,
        cast(amount as numeric(28, 8)) as amount,
        cast(other_amount as numeric(28, 8)) as other_amount,
        share,
        on_date

    from ranked

)

select * from final
where list_position <= {{ review_rule('listed_decisions') }}
