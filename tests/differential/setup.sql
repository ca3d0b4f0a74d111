-- What a session works on: a schema of its own, the same on both sides. {schema}, {number}, {user} and {kind}
-- are replaced; the column n is of another type in every other schema, as tables of tenants drift apart.
DROP SCHEMA IF EXISTS {schema} CASCADE;
CREATE SCHEMA {schema} AUTHORIZATION {user};
GRANT USAGE ON SCHEMA {schema} TO howdah_reader;
SET LOCAL ROLE {user};
SET LOCAL search_path = {schema};
CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL, n {kind} CHECK (n >= 0));
INSERT INTO t SELECT id, '{schema} row ' || id, 10 * id + {number} FROM generate_series(1, 8) id;
GRANT SELECT ON t TO howdah_reader;
CREATE TABLE u (a int, b text);
INSERT INTO u VALUES (1, 'one'), (2, 'two');
CREATE TABLE p (x int);
CREATE TABLE numbered (id serial PRIMARY KEY, v text);
CREATE TYPE mood AS ENUM ('sad', 'content', 'happy');
CREATE SEQUENCE seq START 100;
RESET ROLE;
RESET search_path;
