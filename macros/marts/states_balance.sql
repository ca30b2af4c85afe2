{#- Whether a ledger row states the team's balance: a payment states the allocation instead. -#}
{%- macro states_balance() -%}
    (movement <> 'payment' and credits_after is not null)
{%- endmacro -%}
