{#- What dbt's own tests of a model look at: see tested_rows. -#}
{%- macro get_where_subquery(relation) -%}
    {{ return(tested_rows(relation, graph.nodes.get(model.attached_node) if execute, config.get('where'))) }}
{%- endmacro -%}

{#-
    The rows of a relation that a test declared beside it looks at: after a partial build, those that it replaced.
    Rows that stay were looked at when they were written; an older week in turn is looked at by the laws alone.
-#}
{%- macro tested_rows(relation, tested_node, where=none) -%}
    {%- set conditions = [where] | select | list -%}
    {%- if is_partial() and tested_node -%}
        {%- set rebuilt = var('rebuilt', none) -%}
        {%- if tested_node.config.replaced -%}
            {%- do conditions.append(is_one_touched(tested_node.config.replaced, rebuilt)) -%}
        {%- elif tested_node.config.incremental_strategy == 'replace_walked' -%}
            {%- do conditions.append(is_touched('created_at', 'ledger', rebuilt)) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if conditions -%}
        {{ return('(select * from ' ~ relation ~ ' where ' ~ conditions | join(' and ') ~ ') as tested_rows') }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro -%}
