{#- The rows that break one test declared beside a model, of the graph: what dbt would ask for it alone. -#}
{%- macro declared_test_sql(test) -%}
    {%- set tested_node = graph.nodes[test.attached_node] -%}
    {%- set arguments = {} -%}
    {%- for name, value in test.test_metadata.kwargs.items() -%}
        {%- do arguments.update({name: value}) -%}
    {%- endfor -%}
    {%- do arguments.update({
        'model': tested_rows(node_relation(tested_node), tested_node, test.config.get('where')),
    }) -%}
    {%- if 'to' in arguments -%}
        {%- for other in test.depends_on.nodes if other != test.attached_node -%}
            {%- do arguments.update({'to': node_relation(graph.nodes[other])}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ context['test_' ~ test.test_metadata.name](**arguments) }}
{%- endmacro -%}

{#- Where a node of the graph lies. -#}
{%- macro node_relation(node) -%}
    {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) }}
{%- endmacro -%}
