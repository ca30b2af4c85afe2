-- A mark-up is rounded to 8 places and a duration to the millisecond, half away from zero.
-- Returns the cases that are another.
with

mark_ups as (

    select
        'mark-up' as rule,
        {{ marked_up('cast(cost as numeric(28, 8))', 'cast(percentage as numeric(28, 8))') }} as actual,
        cast(expected as numeric(28, 8)) as expected

    from (values
        ('0.1', '50', '0.15'),
        ('0', '20', '0'),
        ('1', '0', '1'),
        -- 1.5 and 4.5 hundred-millionths, then just under 1.5
        ('0.00000001', '50', '0.00000002'),
        ('0.00000003', '50', '0.00000005'),
        ('0.00000001', '49.99999999', '0.00000001'),
        ('1', '-100', '0'),
        ('1', '-99.99999999', '0'),
        ('50', '-99.99999999', '0.00000001'),
        -- the largest cost and mark-up of the source's columns
        ('99.99999999', '999.99', '1099.98999989'),
        ('9999.999999', '999.99', '109998.999989'),
        (null, '20', null),
        ('1', null, null)
    ) as texts (cost, percentage, expected)

),

durations as (

    select
        'seconds' as rule,
        {{ seconds_from_microseconds('cast(microseconds as numeric(20, 2))') }} as actual,
        cast(expected as numeric(28, 8)) as expected

    from (values
        ('0', '0'),
        ('499', '0'),
        ('499.99', '0'),
        ('500', '0.001'),
        ('1500', '0.002'),
        ('2500', '0.003'),
        ('-500', '-0.001'),
        ('-499', '0'),
        ('86400000000', '86400'),
        (null, null)
    ) as texts (microseconds, expected)

)

select * from mark_ups
where actual is distinct from expected
union all
select * from durations
where actual is distinct from expected
