-- A sum over calls is 0 where there were none, and null where none of those there were is known.
-- Returns the cases that are another.
with

calls as (

    select
        cases.name,
        cast(cases.call_count as bigint) as call_count,
        cast(cases.cost as numeric(28, 8)) as cost,
        cast(cases.expected as numeric(28, 8)) as expected

    from (values
        ('no calls', null, null, '0'),
        ('none known', '2', null, null),
        ('known to be free', '2', '0', '0'),
        ('known', '2', '0.5', '0.5')
    ) as cases (name, call_count, cost, expected)

)

select *
from calls
where {{ sum_over_calls('calls', 'cost') }} is distinct from expected
