{#-
    Grain: one row per ledger row and rule of the balance chain that it breaks.

    fork: two rows read the same balance, so one update is lost. reordered: the row links
    to a neighbour that its clock puts elsewhere. gap: credits moved without a row.
-#}
{%- set lookback = range(1, var('fork_lookback_rows') + 1) -%}
with

chained as (

    select
        transaction_id,
        team_id,
        job_id,
        movement,
        credits_signed,
        stored_credits_before,
        stored_credits_after,
        credits_before,
        credits_after,
        previous_balance,
        ledger_position,
        created_at,
        false as is_remembered

    from {{ ref('int_ledger_rows_chained') }}

    union all

    select
        transaction_id,
        team_id,
        job_id,
        movement,
        credits_signed,
        null as stored_credits_before,
        null as stored_credits_after,
        credits_before,
        credits_after,
        previous_balance,
        ledger_position,
        created_at,
        true as is_remembered

    from {{ ref('int_ledger_rows_remembered') }}
    where is_near

),

neighboured as (

    select
        *,
        {%- for distance in lookback %}
        lag(credits_before, {{ distance }}) over ledger as before_{{ distance }}_back,
        lag(credits_after, {{ distance + 1 }}) over ledger as after_{{ distance }}_back,
        lead(credits_after, {{ distance }}) over ledger as after_{{ distance }}_ahead
        {{- "," if not loop.last }}
        {%- endfor %}

    from chained
    window ledger as (partition by team_id order by ledger_position)

),

ledger_rows as (

    select * from neighboured
    where not is_remembered

),

arithmetic as (

    select
        transaction_id,
        team_id,
        job_id,
        'arithmetic' as break_type,
        stored_credits_before + credits_signed as expected,
        stored_credits_after as actual,
        created_at

    from ledger_rows
    where stored_credits_before + credits_signed <> stored_credits_after

),

unlinked as (

    select
        transaction_id,
        team_id,
        job_id,
        case
            {%- for distance in lookback %}
            when credits_before = before_{{ distance }}_back then 'fork'
            {%- endfor %}
            {%- for distance in lookback %}
            when credits_before in (after_{{ distance }}_back, after_{{ distance }}_ahead) then 'reordered'
            {%- endfor %}
            else 'gap'
        end as break_type,
        previous_balance as expected,
        credits_before as actual,
        created_at

    from ledger_rows
    where credits_before <> previous_balance

),

unknown_types as (

    select
        transaction_id,
        team_id,
        job_id,
        'unknown_type' as break_type,
        cast(0 as bigint) as expected,
        coalesce(stored_credits_after - stored_credits_before, 0) as actual,
        created_at

    from ledger_rows
    where movement = 'unknown'

),

final as (

    select * from arithmetic
    union all
    select * from unlinked
    union all
    select * from unknown_types

)

select * from final
