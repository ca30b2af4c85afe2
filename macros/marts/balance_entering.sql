{#- The running balance with which a walk over tied ledger rows meets its next candidate. -#}
{%- macro balance_entering(walk, candidate) -%}
    case
        when {{ candidate }}.group_number = {{ walk }}.group_number then {{ walk }}.balance
        when {{ candidate }}.balance_before_group is not null then {{ candidate }}.balance_before_group
        else {{ walk }}.balance + {{ candidate }}.paid_since_anchor
    end
{%- endmacro -%}
