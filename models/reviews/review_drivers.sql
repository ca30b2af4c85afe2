{#-
    Grain: one row per review, dimension and place: what the part added to the
    change in client cost, in whole cents; the last row takes the rest, so that the rows
    add up to the change between the two printed totals.
-#}
{{ replaced_when_reviewed() }}
{%- set listed_parts = review_rule('listed_drivers') -%}

with

ranked as (

    select
        {{ review_keys() }},
        period_start_date,
        dimension,
        part_name,
        client_cost_usd,
        previous_client_cost_usd,
        part_rank,
        1 as members

    from {{ ref('int_review_cost_parts') }}

    union all

    -- what rounding to cents leaves needs a row even where nothing else does
    select distinct
        {{ review_keys() }},
        period_start_date,
        dimension,
        cast(null as {{ dbt.type_string() }}) as part_name,
        cast(0 as numeric(28, 8)) as client_cost_usd,
        cast(0 as numeric(28, 8)) as previous_client_cost_usd,
        {{ listed_parts + 1 }} as part_rank,
        0 as members

    from {{ ref('int_review_cost_parts') }}

),

folded as (

    select
        {{ review_keys() }},
        period_start_date,
        dimension,
        least(part_rank, {{ listed_parts + 1 }}) as list_position,
        max(case when part_rank <= {{ listed_parts }} then part_name end) as part_name,
        sum(members) as member_count,
        sum(client_cost_usd) as client_cost_usd,
        sum(previous_client_cost_usd) as previous_client_cost_usd,
        cast(sum(client_cost_usd) - sum(previous_client_cost_usd) as numeric(28, 2)) as rounded_usd

    from ranked
    group by {{ review_keys() }}, period_start_date, dimension, least(part_rank, {{ listed_parts + 1 }})

),

changes as (

    select
        *,
        case
            when list_position <= {{ listed_parts }} then rounded_usd
            else
                cast(sum(client_cost_usd) over whole as numeric(28, 2))
                - cast(sum(previous_client_cost_usd) over whole as numeric(28, 2))
                - sum(case when list_position <= {{ listed_parts }} then rounded_usd else 0 end) over whole
        end as change_usd

    from folded
    window whole as (partition by {{ review_keys() }}, period_start_date, dimension)

),

final as (

    select
        {{ review_keys() }},
        period_start_date,
        dimension,
        cast(list_position as integer) as list_position,
        case
            when list_position <= {{ listed_parts }} then 'member'
            when member_count > 0 then 'rest'
            else 'rounding'
        end as row_kind,
        cast(member_count as integer) as member_count,
        part_name,
        cast(client_cost_usd as numeric(28, 8)) as client_cost_usd,
        cast(previous_client_cost_usd as numeric(28, 8)) as previous_client_cost_usd,
        cast(change_usd as numeric(28, 2)) as change_usd

    from changes
    where member_count > 0 or change_usd <> 0

)

select * from final
