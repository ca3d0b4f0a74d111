-- Functions that a statement can call, by (schema, name, volatility of the most volatile overload).
-- The volatile functions of two extensions only make random values. `w`, more than volatile, are those
-- that may change a session: their body has words that set something or leave something behind, or
-- the name of another such function. `x`, still more, may keep what nobody can look at: they are
-- written in C, and no extension's. Rows without a schema say that a trigger is one of them, and that
-- something that is called unseen asks what a sequence answered before.
WITH RECURSIVE bodies AS MATERIALIZED (
  SELECT p.oid, p.proname,
         -- Bodies that are parsed when they are defined have no source text.
         CASE WHEN p.prosrc = '' AND p.prokind IN ('f', 'p') THEN pg_catalog.pg_get_functiondef(p.oid)
              ELSE p.prosrc || coalesce(p.probin, '') END AS body
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
   WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
), hidden AS MATERIALIZED (
  SELECT p.oid FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
   WHERE l.lanname = 'c' AND p.provolatile = 'v' AND p.oid IN (SELECT oid FROM bodies)
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass
                        AND d.objid = p.oid AND d.deptype = 'e')
), session(oid, proname) AS (
  SELECT oid, proname FROM bodies
   WHERE body ~* ('(^|[;$''"(]|\m(begin|then|else|loop|do))\s*(set|reset|listen|unlisten|load|discard|prepare|deallocate)\M'
               || '|\m(set_config|setseed|temp|temporary|pg_temp|with\s+hold|pg_(try_)?advisory_(un)?lock\w*|dblink\w*)\M')
  UNION
  SELECT b.oid, b.proname FROM session s
    JOIN bodies b ON strpos(lower(b.body), lower(s.proname)) > 0
                 AND b.body ~* ('\m' || regexp_replace(s.proname, '(\W)', '\\\1', 'g') || '\M')
)
SELECT n.nspname, p.proname,
       max(CASE WHEN harmless.oid IS NOT NULL THEN 's'
                WHEN p.oid IN (SELECT oid FROM hidden) THEN 'x'
                WHEN p.oid IN (SELECT oid FROM session) THEN 'w'
                ELSE p.provolatile::text END)
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  LEFT JOIN (SELECT d.objid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
              WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e'
                AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.extname IN ('pgcrypto', 'uuid-ossp')
            ) AS harmless(oid) ON harmless.oid = p.oid
 WHERE p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype, 'event_trigger'::regtype, 'cstring'::regtype)
   AND NOT 'internal'::regtype = ANY (p.proargtypes) AND NOT 'cstring'::regtype = ANY (p.proargtypes)
 GROUP BY 1, 2
UNION ALL
SELECT '', 'trigger', 'w'
 WHERE EXISTS (SELECT FROM pg_catalog.pg_trigger t JOIN session s ON s.oid = t.tgfoid)
    OR EXISTS (SELECT FROM pg_catalog.pg_event_trigger t JOIN session s ON s.oid = t.evtfoid)
UNION ALL
SELECT '', 'trigger', 'x'
 WHERE EXISTS (SELECT FROM pg_catalog.pg_trigger t JOIN hidden h ON h.oid = t.tgfoid)
UNION ALL
SELECT '', 'sequence', 'w'
 WHERE EXISTS (SELECT FROM bodies WHERE body ~* '\m(currval|lastval)\M')
    OR EXISTS (SELECT FROM pg_catalog.pg_attrdef d WHERE pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ '\m(currval|lastval)\M')
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.contype = 'c'
                  AND pg_catalog.pg_get_constraintdef(c.oid) ~ '\m(currval|lastval)\M')
