"""psycopg2 through the proxy: python3 with_psycopg2.py HOST PORT USER DATABASE."""

import io
import sys
import threading
import time

import psycopg2
import psycopg2.extras

HOST, PORT, USER, DATABASE = sys.argv[1:5]
PATIENCE = 60
ROWS = 2000
SLEEP = "SELECT pg_sleep(120) /* psycopg2 */"


def connect(autocommit=False):
    connection = psycopg2.connect(host=HOST, port=PORT, user=USER, dbname=DATABASE)
    connection.autocommit = autocommit
    return connection


def run(connection, sql, parameters=None):
    cursor = connection.cursor()
    cursor.execute(sql, parameters)
    return cursor


def value(connection, sql, parameters=None):
    return run(connection, sql, parameters).fetchone()[0]


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def fails(connection, sqlstate, sql):
    try:
        run(connection, sql)
    except psycopg2.Error as error:
        check(sql, error.pgcode, sqlstate)
    else:
        sys.exit(f"{sql}: no error")


def connects():
    one = connect(autocommit=True)
    check("server_version", one.server_version >= 150000, True)
    check("encoding", one.encoding, "UTF8")
    check("value", value(one, "SELECT %s::int + 1", (41,)), 42)
    check("text", value(one, "SELECT %s", ("é'\\",)), "é'\\")
    fails(one, "42P01", "SELECT * FROM there_is_none")
    check("after an error", value(one, "SELECT 1"), 1)
    check("two statements", value(one, "SELECT 1; SELECT 2"), 2)
    one.set_client_encoding("LATIN1")
    check("another encoding", value(one, "SHOW client_encoding"), "LATIN1")
    check("in that", value(one, "SELECT %s", ("é",)), "é")
    one.close()


def transactions():
    one = connect()
    run(one, "DROP TABLE IF EXISTS psycopg2")
    run(one, "CREATE TABLE psycopg2 (id int PRIMARY KEY, text text)")
    one.commit()
    with one:
        run(one, "INSERT INTO psycopg2 VALUES (1, 'kept')")
    run(one, "INSERT INTO psycopg2 VALUES (2, 'given up')")
    check("inside", value(one, "SELECT count(*) FROM psycopg2"), 2)
    one.rollback()
    fails(one, "23505", "INSERT INTO psycopg2 VALUES (1, 'again')")
    fails(one, "25P02", "SELECT 1")
    one.rollback()
    run(one, "SAVEPOINT here")
    run(one, "DELETE FROM psycopg2")
    run(one, "ROLLBACK TO here")
    one.commit()
    check("after all", run(one, "SELECT id FROM psycopg2").fetchall(), [(1,)])
    one.rollback()
    one.set_session(readonly=True, isolation_level="SERIALIZABLE")
    check("level", value(one, "SHOW transaction_isolation"), "serializable")
    fails(one, "25006", "DELETE FROM psycopg2")
    one.close()


def sees_its_own_writes():
    one = connect(autocommit=True)
    for text in map(str, range(50)):
        run(one, "UPDATE psycopg2 SET text = %s WHERE id = 1", (text,))
        check("own write", value(one, "SELECT text FROM psycopg2 WHERE id = 1"), text)
    one.close()


def batches():
    one = connect()
    cursor = run(one, "TRUNCATE psycopg2")
    rows = [(number, f"row {number}") for number in range(ROWS)]
    psycopg2.extras.execute_values(cursor, "INSERT INTO psycopg2 VALUES %s", rows)
    psycopg2.extras.execute_batch(cursor, "UPDATE psycopg2 SET text = %s WHERE id = %s", [("x", 1), ("x", 2)])
    one.commit()
    check("rows", value(one, "SELECT count(*) FROM psycopg2"), ROWS)
    check("changed", value(one, "SELECT count(*) FROM psycopg2 WHERE text = 'x'"), 2)
    one.close()


def copies():
    one = connect()
    cursor = run(one, "TRUNCATE psycopg2")
    cursor.copy_expert("COPY psycopg2 FROM STDIN", io.StringIO("".join(f"{n}\trow {n}\n" for n in range(ROWS))))
    check("copied", cursor.rowcount, ROWS)
    one.commit()
    out = io.StringIO()
    one.autocommit = True
    cursor.copy_expert("COPY (SELECT * FROM psycopg2 ORDER BY id) TO STDOUT", out)
    lines = out.getvalue().splitlines()
    check("lines", (len(lines), lines[-1]), (ROWS, f"{ROWS - 1}\trow {ROWS - 1}"))
    try:
        cursor.copy_expert("COPY psycopg2 FROM STDIN", io.StringIO("no number\tx\n"))
    except psycopg2.Error as error:
        check("bad data", error.pgcode, "22P02")
    else:
        sys.exit("bad data was taken")
    check("after", value(one, "SELECT count(*) FROM psycopg2"), ROWS)
    one.close()


def server_side_cursors():
    one = connect()
    cursor = one.cursor("through")
    cursor.itersize = 7
    cursor.execute("SELECT id FROM psycopg2 ORDER BY id")
    check("iterated", [row[0] for row in cursor], list(range(ROWS)))
    cursor.close()
    one.commit()
    one.close()


def cancels():
    one, watcher = connect(), connect()
    error = []

    def sleep():
        try:
            run(one, SLEEP)
        except psycopg2.Error as raised:
            error.append(raised.pgcode)

    sleeper = threading.Thread(target=sleep, daemon=True)
    sleeper.start()
    until_it_runs(watcher)
    one.cancel()
    sleeper.join(PATIENCE)
    check("cancelled", error, ["57014"])
    one.rollback()
    check("after", value(one, "SELECT 1"), 1)
    one.close()
    watcher.close()


def until_it_runs(watcher):
    """Both are in transactions that may write, so that both are on the primary."""
    end = time.monotonic() + PATIENCE
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND wait_event = 'PgSleep'"
    while value(watcher, running, (SLEEP,)) == 0:
        watcher.rollback()
        if time.monotonic() > end:
            sys.exit("the query to be cancelled never ran")
        time.sleep(0.01)


for part in (connects, transactions, sees_its_own_writes, batches, copies, server_side_cursors, cancels):
    part()
    print(f"OK {part.__name__}", flush=True)
