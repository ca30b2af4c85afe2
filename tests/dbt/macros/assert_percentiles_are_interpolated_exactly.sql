-- A percentile lies between its neighbours in proportion, leaves nulls out, and is null of nothing.
-- Returns the groups whose percentiles are others.
with

cases as (

    select
        cases.name,
        cast(cases.value as bigint) as value,
        cast(cases.p50 as numeric(20, 2)) as p50,
        cast(cases.p95 as numeric(20, 2)) as p95,
        cast(cases.p99 as numeric(20, 2)) as p99

    from (values
        ('one', '7', '7', '7', '7'),
        ('two', '1', '1.5', '1.95', '1.99'),
        ('two', '2', '1.5', '1.95', '1.99'),
        ('three', '600', '200', '560', '592'),
        ('three', '100', '200', '560', '592'),
        ('three', '200', '200', '560', '592'),
        ('ties', '5', '5', '8.40', '8.88'),
        ('ties', '5', '5', '8.40', '8.88'),
        ('ties', '5', '5', '8.40', '8.88'),
        ('ties', '9', '5', '8.40', '8.88'),
        ('with a null', null, '3', '3', '3'),
        ('with a null', '3', '3', '3', '3'),
        ('nothing', null, null, null, null),
        -- microseconds: half a year of them, the most that a double keeps two decimals of
        ('large', '17592186044414', '17592186044414.50', '17592186044414.95', '17592186044414.99'),
        ('large', '17592186044415', '17592186044414.50', '17592186044414.95', '17592186044414.99')
    ) as cases (name, value, p50, p95, p99)

)

select
    name,
    {{ percentile('value', 0.50) }} as actual_p50,
    {{ percentile('value', 0.95) }} as actual_p95,
    {{ percentile('value', 0.99) }} as actual_p99

from cases
group by name, p50, p95, p99
having
    {{ percentile('value', 0.50) }} is distinct from p50
    or {{ percentile('value', 0.5, [0.5, 0.95, 0.99]) }} is distinct from p50
    or {{ percentile('value', 0.95, [0.5, 0.95, 0.99]) }} is distinct from p95
    or {{ percentile('value', 0.99, [0.5, 0.95, 0.99]) }} is distinct from p99
    or {{ percentile('value', 0.95) }} is distinct from p95
    or {{ percentile('value', 0.99) }} is distinct from p99
