#!/bin/sh
# psql through the proxy: with_psql.sh HOST PORT USER DATABASE; PSQL says which psql.
set -eu

export PGHOST="$1" PGPORT="$2" PGUSER="$3" PGDATABASE="$4" PGCONNECT_TIMEOUT=10 PGAPPNAME=psql
rows=2000
sleep_query='SELECT pg_sleep(120) /* psql */'
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

arguments='--no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1'

client() {
    # shellcheck disable=SC2086
    "${PSQL:-psql}" $arguments "$@"
}

check() {
    if [ "$2" != "$3" ]; then
        echo "$1: '$2' instead of '$3'" >&2
        exit 1
    fi
}

ok() {
    echo "OK $1"
}

check value "$(client --command 'SELECT 42')" 42
check statements "$(echo 'SELECT 1 \; SELECT 2; SELECT 3' | client | tr '\n' ' ')" '1 2 3 '
ok connects

client <<'END'
SET client_min_messages = warning;
DROP TABLE IF EXISTS psql;
CREATE TABLE psql (id int PRIMARY KEY, text text);
BEGIN;
INSERT INTO psql VALUES (1, 'kept');
SAVEPOINT here;
INSERT INTO psql VALUES (2, 'given up');
ROLLBACK TO here;
COMMIT;
BEGIN;
DELETE FROM psql;
ROLLBACK;
END
check kept "$(client --command 'SELECT id, text FROM psql')" '1|kept'
check 'one transaction' "$(client --single-transaction --command 'DELETE FROM psql' --command 'SELECT 1 / 0' 2>&1)" \
    'ERROR:  division by zero'
check 'rolled back' "$(client --command 'SELECT count(*) FROM psql')" 1
ok transactions

check sqlstate "$(printf '%s\n' '\set VERBOSITY sqlstate' 'SELECT * FROM there_is_none;' 'SELECT 5;' |
    client --set ON_ERROR_STOP=0 2>&1 | tr '\n' ' ')" 'ERROR:  42P01 5 '
check place "$(client --command 'SELECT 1 + none' 2>&1 | tail -n 1)" '                   ^'
check 'failed transaction' "$(printf '%s\n' '\set VERBOSITY sqlstate' 'BEGIN;' 'SELECT 1 / 0;' 'SELECT 1;' 'END;' |
    client --set ON_ERROR_STOP=0 2>&1 | tr '\n' ' ')" 'ERROR:  22012 ERROR:  25P02 '
ok errors

seq 1 "$rows" | sed 's/.*/&\trow &/' >"$folder/in"
client --command 'TRUNCATE psql' --command "\\copy psql from '$folder/in'" \
    --command "\\copy (SELECT * FROM psql ORDER BY id) to '$folder/out'"
cmp "$folder/in" "$folder/out"
client --command 'COPY (SELECT * FROM psql ORDER BY id) TO STDOUT' >"$folder/out"
cmp "$folder/in" "$folder/out"
echo 'no number' >"$folder/bad"
case $(client --command "\\copy psql from '$folder/bad'" 2>&1) in
*'invalid input syntax for type integer'*) ;;
*) echo 'bad data was taken' >&2 && exit 1 ;;
esac
check 'after bad data' "$(client --command 'SELECT count(*) FROM psql')" "$rows"
ok copies

client --command '\d psql' | grep -q '^id|integer' || { echo '\d does not describe' >&2 && exit 1; }
client --command '\d' | grep -q '|psql|table|' || { echo '\d does not list' >&2 && exit 1; }
client --command '\df+ pg_sleep' --command '\l' --command '\du' >/dev/null
ok describes

check portions "$(printf '%s\n' '\set FETCH_COUNT 7' 'SELECT id FROM psql ORDER BY id;' | client | tail -n 1)" "$rows"
ok portions

# In transactions that may write, so that both are on the primary.
printf '%s\n' '\set VERBOSITY sqlstate' 'BEGIN;' "$sleep_query;" >"$folder/sleep"
# shellcheck disable=SC2086
(exec "${PSQL:-psql}" $arguments <"$folder/sleep" >"$folder/said" 2>&1) &
sleeper=$!
running="SELECT count(*) FROM pg_stat_activity WHERE query = '$sleep_query;' AND wait_event = 'PgSleep'"
turns=0
until [ "$(client --command 'BEGIN' --command "$running" --command 'COMMIT')" = 1 ]; do
    turns=$((turns + 1))
    [ "$turns" -lt 1000 ] || { kill "$sleeper"; echo 'the query to be cancelled never ran' >&2; exit 1; }
done
kill -INT "$sleeper"
wait "$sleeper" || true
check cancelled "$(tr '\n' ' ' <"$folder/said")" 'Cancel request sent ERROR:  57014 '
ok cancels
