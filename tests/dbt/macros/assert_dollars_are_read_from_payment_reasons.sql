-- Dollars are those of the first "(… $x USD …)"; a text without one is unreadable, not free.
-- Returns the reasons that are read as something else.
with

cases as (

    select
        cases.reason,
        cast(cases.expected as numeric(28, 8)) as expected

    from (values
        ('Subscription payment ($1,299.00 USD - 12990 credits)', '1299'),
        ('One-time payment (500 credits, $49.99 USD)', '49.99'),
        ('Payment ($5 USD)', '5'),
        ('Payment ($0.00 USD)', '0'),
        ('Payment ($0.12345678 USD)', '0.12345678'),
        ('Payment ($1,234,567.89 USD)', '1234567.89'),
        ('Payment (plan: pro) ($7.50 USD)', '7.5'),
        ('Payment ($7.50 USD) after ($9.00 USD)', '7.5'),
        ('Payment (was (about $3 USD))', '3'),
        -- unreadable
        ('Payment $5.00 USD', null),
        ('Payment ($5.00)', null),
        ('Payment ($5.00 EUR)', null),
        ('Payment ($ USD)', null),
        ('Payment ($-5.00 USD)', null),
        ('Payment (5.00 USD)', null),
        ('', null),
        (null, null)
    ) as cases (reason, expected)

)

select *
from cases
where {{ dollars_in_reason('reason') }} is distinct from expected
