{#-
    Before every model on PostgreSQL: fail when the run was taken for dead, so that a dbt which wakes late
    writes nothing into a generation that a newer run builds or has published. What it had open by then the
    newer run has ended.
-#}
{%- macro require_current_run() -%}
    {%- set run_id = env_var('ALMANAC_RUN_ID', '') -%}
    {%- if execute and target.type == 'postgres' and run_id -%}
do $$
begin
    if exists (select 1 from ops.runs where run_id = '{{ run_id }}' and ended_at is not null) then
        raise exception 'A newer run took over while this one ({{ run_id }}) stood still; it writes nothing more.';
    end if;
end
$$
    {%- endif -%}
{%- endmacro -%}
