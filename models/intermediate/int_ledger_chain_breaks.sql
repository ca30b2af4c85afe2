{#-
    Grain: one row per ledger row that does not link to the row before it.

    fork: two rows read the same balance, so one update is lost. reordered: the row links
    to a neighbour that its clock puts elsewhere. gap: credits moved without a row.
-#}
{%- set lookback = range(1, var('fork_lookback_rows') + 1) -%}
with

chained as (

    {% for relation, is_remembered, condition in [
        ('int_ledger_rows_chained', 'false', 'true'), ('int_ledger_rows_remembered', 'true', 'is_near'),
    ] -%}
    select
        transaction_id,
        team_id,
        job_id,
        credits_before,
        credits_after,
        previous_balance,
        ledger_position,
        created_at,
        {{ is_remembered }} as is_remembered

    from {{ ref(relation) }}
    where {{ condition }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}

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

final as (

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

    from neighboured
    where
        credits_before <> previous_balance
        and not is_remembered

)

select * from final
