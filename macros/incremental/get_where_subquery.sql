{#-
    What dbt's own tests of a model look at: after a partial build, the rows that it replaced.
    The night of a full comparison looks at all of them again.
-#}
{%- macro get_where_subquery(relation) -%}
    {%- set conditions = [config.get('where')] | select | list -%}
    {%- if execute and is_partial() and model.attached_node in graph.nodes -%}
        {%- set tested = graph.nodes[model.attached_node].config -%}
        {%- if tested.replaced -%}
            {%- do conditions.append(is_touched(tested.replaced.column, tested.replaced.kind)) -%}
        {%- elif tested.incremental_strategy == 'replace_walked' -%}
            {%- do conditions.append(is_touched('created_at', 'ledger')) -%}
        {%- endif -%}
    {%- endif -%}
    {%- if conditions -%}
        {{ return('(select * from ' ~ relation ~ ' where ' ~ conditions | join(' and ') ~ ') as tested_rows') }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro -%}
