"""The SQL of backup and restore: what pg_dump of a database leaves out."""

from __future__ import annotations

# Roles of ours, owners and grantees of anything in this database, and the members of those that are ours.
_INVOLVED = r"""
WITH RECURSIVE own AS (SELECT oid FROM pg_database WHERE datname = current_database()),
involved AS (
    SELECT oid FROM pg_roles WHERE rolname LIKE 'pbdb\_%'
    UNION SELECT d.refobjid FROM pg_shdepend d, own
        WHERE d.refclassid = 'pg_authid'::regclass
        AND (d.dbid = own.oid OR d.classid = 'pg_database'::regclass AND d.objid = own.oid)
    UNION SELECT nspowner FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'
    UNION SELECT m.member FROM pg_auth_members m JOIN involved i ON m.roleid = i.oid
        JOIN pg_roles r ON r.oid = i.oid AND r.rolname LIKE 'pbdb\_%'
),
role AS (SELECT r.* FROM pg_roles r JOIN involved i ON i.oid = r.oid WHERE r.rolname !~ '^pg_')
"""

# Lists of names are stored as they are written; other values need quotes.
_ASSIGNMENT = """split_part(setting, '=', 1) || ' TO ' || CASE
    WHEN split_part(setting, '=', 1) IN ('search_path', 'temp_tablespaces', 'local_preload_libraries',
        'session_preload_libraries')
    THEN coalesce(nullif(substr(setting, strpos(setting, '=') + 1), ''), '''''')
    ELSE quote_literal(substr(setting, strpos(setting, '=') + 1)) END"""

ROLES = f"""{_INVOLVED}
SELECT format('DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %L) THEN CREATE ROLE %I%s; '
    || 'IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER) THEN GRANT %I TO CURRENT_USER; '
    || 'END IF; END IF; END $do$;', rolname, rolname, concat(
        CASE WHEN rolcanlogin THEN ' LOGIN' ELSE ' NOLOGIN' END,
        CASE WHEN rolinherit THEN ' INHERIT' ELSE ' NOINHERIT' END,
        CASE WHEN rolcreatedb THEN ' CREATEDB' END,
        CASE WHEN rolcreaterole THEN ' CREATEROLE' END,
        CASE WHEN rolbypassrls AND NOT rolsuper THEN ' BYPASSRLS' END,
        CASE WHEN rolconnlimit >= 0 THEN ' CONNECTION LIMIT ' || rolconnlimit END), rolname)
FROM role
UNION ALL
SELECT format('GRANT %I TO %I%s;', granted.rolname, member.rolname, CASE
    WHEN options ? 'set_option' THEN format(' WITH ADMIN %s, INHERIT %s, SET %s',
        options ->> 'admin_option', options ->> 'inherit_option', options ->> 'set_option')
    WHEN m.admin_option THEN ' WITH ADMIN OPTION' END)
FROM pg_auth_members m CROSS JOIN to_jsonb(m) options
JOIN role member ON member.oid = m.member JOIN pg_roles granted ON granted.oid = m.roleid
WHERE m.roleid IN (SELECT oid FROM role) OR granted.rolname ~ '^pg_'
"""

SETTINGS = f"""{_INVOLVED},
this AS (SELECT * FROM pg_database WHERE datname = current_database()),
setting AS (
    SELECT s.setdatabase, s.setrole, unnest(s.setconfig) AS setting FROM pg_db_role_setting s
)
SELECT 'ALTER DATABASE :"DBNAME" SET ' || {_ASSIGNMENT} || ';'
FROM setting JOIN this ON this.oid = setdatabase AND setrole = 0
UNION ALL
SELECT format('ALTER ROLE %I%s SET ', rolname, CASE WHEN setdatabase <> 0 THEN ' IN DATABASE :"DBNAME"' END)
    || {_ASSIGNMENT} || ';'
FROM setting JOIN role ON role.oid = setrole WHERE setdatabase IN (0, (SELECT oid FROM this))
UNION ALL
SELECT format('ALTER DATABASE :"DBNAME" OWNER TO %I;', rolname)
FROM this JOIN pg_roles owner ON owner.oid = datdba WHERE owner.oid <> 10
UNION ALL
SELECT 'REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;' FROM this WHERE datacl IS NOT NULL
UNION ALL
SELECT format('GRANT %s ON DATABASE :"DBNAME" TO %s%s;', privilege_type, coalesce(quote_ident(rolname), 'PUBLIC'),
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
FROM this CROSS JOIN aclexplode(datacl) LEFT JOIN pg_roles grantee_role ON grantee_role.oid = grantee
"""

EMPTY = r"""
SELECT NOT EXISTS (
    SELECT FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$|public$)'
) AND NOT EXISTS (
    SELECT FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
) AND NOT EXISTS (
    SELECT FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
)
"""

REPLACE = """
DO $do$ DECLARE schema name; BEGIN
    FOR schema IN SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^(pg_|information_schema$)' LOOP
        EXECUTE pg_catalog.format('DROP SCHEMA %I CASCADE', schema);
    END LOOP;
END $do$;
CREATE SCHEMA public AUTHORIZATION pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
COMMENT ON SCHEMA public IS 'standard public schema';
"""
