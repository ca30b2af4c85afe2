{#- What dbt's own tests of a model look at: see tested_rows. -#}
{%- macro get_where_subquery(relation) -%}
    {{ return(tested_rows(relation, graph.nodes.get(model.attached_node) if execute, config.get('where'))) }}
{%- endmacro -%}

{#-
    The rows of a relation that a test looks at: after a partial build, those that it replaced.
    The night of a full comparison looks at all of them again.
-#}
{%- macro tested_rows(relation, tested_node, where=none) -%}
    {%- set conditions = [where] | select | list -%}
    {%- if is_partial() and tested_node -%}
        {%- if tested_node.config.replaced -%}
            {%- do conditions.append(is_one_touched(tested_node.config.replaced)) -%}
        {%- elif tested_node.config.incremental_strategy == 'replace_walked' -%}
            {%- do conditions.append(is_touched('created_at', 'ledger')) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if conditions -%}
        {{ return('(select * from ' ~ relation ~ ' where ' ~ conditions | join(' and ') ~ ') as tested_rows') }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro -%}
