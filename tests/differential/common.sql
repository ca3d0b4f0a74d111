-- What all sessions share, and nobody can change.
CREATE SCHEMA common;
GRANT USAGE ON SCHEMA common TO PUBLIC;
CREATE VIEW common.t AS SELECT id, 'common row ' || id AS v, id * 1000 AS n FROM generate_series(1, 3) id;
GRANT SELECT ON common.t TO PUBLIC;
CREATE FUNCTION common.say(words text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'said %', words; RETURN words; END $$;
CREATE FUNCTION common.fail(words text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '%', words USING ERRCODE = 'HD001', DETAIL = 'it was asked to', HINT = 'do not ask'; END $$;
CREATE FUNCTION common.put(name text, value text, within boolean) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config(name, value, within); END $$;
CREATE FUNCTION common.with_own_setting() RETURNS text LANGUAGE plpgsql SET work_mem = '3MB' AS
    $$ BEGIN RETURN current_setting('work_mem'); END $$;
