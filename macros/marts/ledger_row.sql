{#- What a row of the ledger does to the balance, by its type. -#}
{%- macro ledger_movement(transaction_type) -%}
    case
        when {{ transaction_type }} in ('subscription_payment', 'one_time_payment') then 'payment'
        when {{ transaction_type }} in ('deduction', 'refund', 'allocation', 'adjustment') then {{ transaction_type }}
        else 'unknown'
    end
{%- endmacro -%}

{#- Its credits, signed by its type: the platform writes deductions with either sign. Null when that is not known. -#}
{%- macro ledger_credits_signed(transaction_type, credits_amount) -%}
    case
        when not {{ fits_source_integer(credits_amount) }} then null
        when {{ transaction_type }} = 'deduction' then -abs({{ credits_amount }})
        when {{ transaction_type }} in ('refund', 'subscription_payment', 'one_time_payment') then abs({{ credits_amount }})
        when {{ transaction_type }} in ('allocation', 'adjustment') then {{ credits_amount }}
    end
{%- endmacro -%}
