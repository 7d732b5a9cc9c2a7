-- Whether role and database are as tasks/database_make.yml would make them.
SELECT count(*) = 1
FROM pg_roles AS r
JOIN pg_database AS d ON d.datdba = r.oid
WHERE r.rolname = :'role' AND d.datname = :'database'
  AND r.rolcanlogin
  AND NOT (r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls)
  AND pg_encoding_to_char(d.encoding) = 'UTF8' AND d.datcollate = 'C.UTF-8' AND d.datctype = 'C.UTF-8'
  AND NOT has_database_privilege('public', d.oid, 'CONNECT')
  AND NOT has_database_privilege('public', d.oid, 'TEMPORARY');
