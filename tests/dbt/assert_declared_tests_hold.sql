-- Every test of severity error that is declared beside a model or a seed, in one query: as nodes of their own they
-- take dbt longer than the engine. Returns the declared tests that break, with how many rows break each.
-- After a partial build rules of alerts are left out: it makes none of their rows, and who asks them looks at their keys.
{% if execute -%}
{%- for test in graph.nodes.values()
    if test.resource_type == 'test' and test.test_metadata and test.config.severity | lower == 'error'
    and not (is_partial() and test.fqn[1] == 'alerts') %}
select
    '{{ test.name }}' as declared_test,
    count(*) as failures

from (
    {{ declared_test_sql(test) }}
) as breaks
having count(*) > 0
{% if not loop.last %}union all{% endif %}
{%- endfor %}
{%- else -%}
select 1
{%- endif %}
