-- A role for BI tools on the warehouse of the postgres target: reads marts, reviews and compat, and nothing else.
--
-- After the first night is published, as a superuser or as the warehouse's owner with the right to create roles:
--
--     psql -v ON_ERROR_STOP=1 -f docs/sql/bi_reader.sql postgresql://postgres@db.example.com/warehouse
--
-- then give it a password with `\password almanac_bi`. Run by the owner, it leaves large objects to the role, as to
-- everybody. Running it again does no harm. Keep the role out of ALMANAC_WAREHOUSE_READERS: that one also reads
-- schema alerts, which holds addresses of clients.
-- The role sees every team, provider cost and margin: it is for operators and finance, not for tenants.

begin;

do $$
begin
    if to_regclass('marts.dim_dates') is null then
        raise exception 'Nothing is published in this database yet. Run `almanac nightly` first.';
    end if;
    if not exists (select from pg_roles where rolname = 'almanac_bi') then
        create role almanac_bi login noinherit connection limit 20;
    end if;
end
$$;

-- For a tool that forgets them. They are no protection: a session may set them otherwise, the grants below hold.
alter role almanac_bi set default_transaction_read_only = on;
alter role almanac_bi set search_path = marts, compat;
alter role almanac_bi set timezone = 'UTC';
-- A publication waits four minutes for whoever holds a view, and then gives up.
alter role almanac_bi set statement_timeout = '2min';
alter role almanac_bi set lock_timeout = '10s';
alter role almanac_bi set idle_in_transaction_session_timeout = '1min';

grant usage on schema marts, reviews, compat to almanac_bi;
grant select on all tables in schema marts, reviews, compat to almanac_bi;

-- Views that a later night adds or makes anew belong to whoever builds; what everybody may do, this role may too.
do $$
declare
    builder name := (select pg_get_userbyid(relowner) from pg_class where oid = 'marts.dim_dates'::regclass);
begin
    execute format(
        'alter default privileges for role %I in schema marts, reviews, compat grant select on tables to almanac_bi',
        builder
    );
    execute format('grant connect on database %I to almanac_bi', current_database());
    execute format('grant temporary on database %I to %I', current_database(), builder);
    execute format('revoke temporary on database %I from public', current_database());
    revoke create on schema public from public;
    -- what still lets anybody store something; only a superuser can take it back
    if (select rolsuper from pg_roles where rolname = current_user) then
        revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) from public;
        execute format(
            'grant execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) to %I', builder
        );
    end if;
end
$$;

commit;
