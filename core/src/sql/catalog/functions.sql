-- Functions that a statement can call, by (schema, name, volatility of the most volatile overload).
-- The volatile functions of two extensions only make random values. `w`, more than volatile, are those
-- whose body has words that change a session: it may set something, or leave something behind.
SELECT n.nspname, p.proname,
       max(CASE WHEN harmless.oid IS NOT NULL THEN 's'
                WHEN n.oid <> 'pg_catalog'::regnamespace
                     AND (p.prosrc || coalesce(p.probin, '')) ~* (
                           '(^|[;$''"(]|\m(begin|then|else|loop|do))\s*(set|reset|listen|unlisten|load|discard|prepare|deallocate)\M'
                        || '|\m(set_config|setseed|temp|temporary|pg_temp|with\s+hold|pg_(try_)?advisory_(un)?lock\w*|dblink\w*)\M')
                THEN 'w' ELSE p.provolatile::text END)
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN (SELECT d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
              WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e'
                AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.extname IN ('pgcrypto', 'uuid-ossp')
            ) AS harmless(oid) ON harmless.oid = p.oid
 WHERE p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype, 'event_trigger'::regtype, 'cstring'::regtype)
   AND NOT 'internal'::regtype = ANY (p.proargtypes) AND NOT 'cstring'::regtype = ANY (p.proargtypes)
 GROUP BY 1, 2
