-- Relations that need care, by (schema, name, code): `u` for one that a standby cannot read because
-- it is unlogged or reaches something unlogged, or where it has other content, as a sequence, `w` for a view that may write when it is read.
-- Rule trees are searched as text because pg_depend does not record calls of built-in functions.
WITH RECURSIVE writer AS ( -- functions that may write
  SELECT p.oid FROM pg_catalog.pg_proc p
   WHERE p.pronamespace <> 'pg_catalog'::regnamespace AND p.provolatile = 'v'
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                        AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.extname IN ('pgcrypto', 'uuid-ossp'))
   UNION ALL
  SELECT p.oid FROM pg_catalog.pg_proc p
   WHERE p.pronamespace = 'pg_catalog'::regnamespace
     AND (p.provolatile = 'v' AND p.proname NOT IN (
            'array_sample', 'array_shuffle', 'clock_timestamp', 'gen_random_uuid', 'pg_database_size', 'pg_indexes_size',
            'pg_is_in_recovery', 'pg_last_wal_receive_lsn', 'pg_last_wal_replay_lsn', 'pg_last_xact_replay_timestamp',
            'pg_partition_ancestors', 'pg_partition_tree', 'pg_relation_size', 'pg_sleep', 'pg_sleep_for', 'pg_sleep_until',
            'pg_table_size', 'pg_tablespace_size', 'pg_total_relation_size', 'random', 'random_normal', 'set_config',
            'timeofday', 'uuidv4', 'uuidv7')
          OR p.proname IN ('txid_current', 'pg_current_xact_id'))
), view AS ( -- with the rule that defines it
  SELECT c.oid, r.oid AS rule
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.ev_type = '1'
   WHERE c.relkind = 'v' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
), concern(oid, code) AS (
  SELECT c.oid, 'u' FROM pg_catalog.pg_class c WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'p', 'm') OR c.relkind = 'S'
   UNION
  SELECT v.oid, 'w' FROM view v JOIN pg_catalog.pg_rewrite r ON r.oid = v.rule
   WHERE r.ev_action::text LIKE '%:hasForUpdate true%'
   UNION
  SELECT v.oid, 'w'
    FROM view v JOIN pg_catalog.pg_rewrite r ON r.oid = v.rule
   CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.string_to_array(r.ev_action::text, 'funcid ')
                                        || pg_catalog.string_to_array(r.ev_action::text, 'fnoid ')) AS part(text)
    JOIN writer w ON w.oid::text = pg_catalog.split_part(pg_catalog.left(part.text, 11), ' ', 1)
   UNION
  SELECT above.oid, c.code FROM concern c CROSS JOIN LATERAL (
    SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid
     UNION ALL
    SELECT v.oid FROM pg_catalog.pg_depend d JOIN view v ON v.rule = d.objid
     WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass
       AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid
  ) AS above(oid)
)
SELECT n.nspname, c.relname, max(concern.code)
  FROM concern JOIN pg_catalog.pg_class c ON c.oid = concern.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 GROUP BY 1, 2
