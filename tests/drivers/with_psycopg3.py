"""psycopg 3 through the proxy: python3 with_psycopg3.py HOST PORT USER DATABASE."""

import sys
import threading
import time

import psycopg

HOST, PORT, USER, DATABASE = sys.argv[1:5]
PATIENCE = 60
ROWS = 2000
SLEEP = "SELECT pg_sleep(120) /* psycopg3 */"


def connect(**options):
    return psycopg.connect(host=HOST, port=PORT, user=USER, dbname=DATABASE, **options)


def value(connection, sql, parameters=None):
    return connection.execute(sql, parameters).fetchone()[0]


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def fails(connection, sqlstate, sql):
    try:
        connection.execute(sql)
    except psycopg.Error as error:
        check(sql, error.sqlstate, sqlstate)
    else:
        sys.exit(f"{sql}: no error")


def connects():
    with connect(autocommit=True) as one:
        check("server_version", one.info.server_version >= 150000, True)
        check("encoding", one.info.encoding, "utf-8")
        check("value", value(one, "SELECT %s::int + 1", (41,)), 42)
        check("binary", one.execute("SELECT %b::int8, %s::text", (7, "é")).fetchone(), (7, "é"))
        fails(one, "42P01", "SELECT * FROM there_is_none")
        fails(one, "42601", "SELEC 1")
        check("after an error", value(one, "SELECT 1"), 1)


def transactions():
    with connect() as one:
        one.execute("DROP TABLE IF EXISTS psycopg3")
        one.execute("CREATE TABLE psycopg3 (id int PRIMARY KEY, text text)")
        one.commit()
        one.execute("INSERT INTO psycopg3 VALUES (1, 'kept')")
        one.commit()
        one.execute("INSERT INTO psycopg3 VALUES (2, 'given up')")
        check("inside", value(one, "SELECT count(*) FROM psycopg3"), 2)
        one.rollback()
        fails(one, "23505", "INSERT INTO psycopg3 VALUES (1, 'again')")
        fails(one, "25P02", "SELECT 1")
        one.rollback()
        with one.transaction():
            one.execute("INSERT INTO psycopg3 VALUES (3, 'kept')")
            try:
                with one.transaction():
                    one.execute("INSERT INTO psycopg3 VALUES (4, 'given up')")
                    raise psycopg.Rollback
            except psycopg.Rollback:
                pass
        one.commit()
        rows = one.execute("SELECT id FROM psycopg3 ORDER BY id").fetchall()
        check("after all", rows, [(1,), (3,)])
    with connect() as reader:
        reader.read_only = True
        fails(reader, "25006", "DELETE FROM psycopg3")
        reader.rollback()
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        check("level", value(reader, "SHOW transaction_isolation"), "repeatable read")


def sees_its_own_writes():
    with connect(autocommit=True) as one:
        for text in map(str, range(50)):
            one.execute("UPDATE psycopg3 SET text = %s WHERE id = 1", (text,))
            check("own write", value(one, "SELECT text FROM psycopg3 WHERE id = 1"), text)


def prepared():
    with connect(autocommit=True, prepare_threshold=0) as one, connect(autocommit=True, prepare_threshold=0) as two:
        one.prepared_max = 3
        for turn in range(20):
            # Both call their statements by the same names, and mean others.
            check("one", value(one, "SELECT %s::int + 1", (turn,)), turn + 1)
            check("two", value(two, "SELECT %s::text || 'x'", (str(turn),)), f"{turn}x")
            # More than it keeps, so that it deallocates.
            check("many", value(one, f"SELECT %s::int * {turn % 5}", (turn,)), turn * (turn % 5))
            if turn % 7 == 0:
                fails(one, "22012", "SELECT 1 / 0")
            with one.transaction():
                one.execute("UPDATE psycopg3 SET text = %s WHERE id = %s", (str(turn), 1))
                check("inside", value(one, "SELECT text FROM psycopg3 WHERE id = %s", (1,)), str(turn))
            check("after", value(one, "SELECT text FROM psycopg3 WHERE id = %s", (1,)), str(turn))
        # One's own statements are gone, the other's are not.
        one.execute("DEALLOCATE ALL")
        check("after DEALLOCATE", value(two, "SELECT %s::text || 'x'", ("a",)), "ax")


def copies():
    with connect() as one:
        one.execute("TRUNCATE psycopg3")
        with one.cursor().copy("COPY psycopg3 FROM STDIN") as copy:
            for number in range(ROWS):
                copy.write_row((number, f"row {number}"))
        check("inside", value(one, "SELECT count(*) FROM psycopg3"), ROWS)
        one.commit()
        with one.cursor().copy("COPY (SELECT id, text FROM psycopg3 ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            rows = list(copy.rows())
        check("rows", (len(rows), rows[-1]), (ROWS, (ROWS - 1, f"row {ROWS - 1}")))
        one.commit()
        try:
            with one.cursor().copy("COPY psycopg3 FROM STDIN") as copy:
                copy.write("no number\tx\n")
        except psycopg.Error as error:
            check("bad data", error.sqlstate, "22P02")
        else:
            sys.exit("bad data was taken")
        one.rollback()
        try:
            with one.cursor().copy("COPY psycopg3 FROM STDIN") as copy:
                copy.write_row((ROWS, "given up"))
                raise KeyError("the client gives up")
        except KeyError:
            pass
        one.rollback()
        check("after", value(one, "SELECT count(*) FROM psycopg3"), ROWS)


def pipelines():
    if not psycopg.Pipeline.is_supported():
        sys.exit("this libpq has no pipeline mode")
    for threshold in (None, 0):
        with connect(autocommit=True, prepare_threshold=threshold) as one:
            with one.pipeline():
                sums = [one.execute("SELECT %s::int + 1", (number,)) for number in range(300)]
            check("sums", [cursor.fetchone()[0] for cursor in sums], list(range(1, 301)))
            with one.pipeline() as pipeline:
                one.execute("UPDATE psycopg3 SET text = %s WHERE id = 1", ("in a pipeline",))
                pipeline.sync()
                check("own write", value(one, "SELECT text FROM psycopg3 WHERE id = 1"), "in a pipeline")
            with one.pipeline(), one.transaction():
                one.cursor().executemany("UPDATE psycopg3 SET text = %s WHERE id = %s",
                                         [(f"many {number}", number) for number in range(100)])
            check("many", value(one, "SELECT count(*) FROM psycopg3 WHERE text LIKE 'many%'"), 100)
            try:
                with one.pipeline() as pipeline:
                    before = one.execute("SELECT 1")
                    pipeline.sync()
                    one.execute("SELECT 1 / %s::int", (0,))
                    skipped = one.execute("SELECT 2")
                    pipeline.sync()
            except psycopg.Error as error:
                check("in a pipeline", error.sqlstate, "22012")
                check("before the error", before.fetchone(), (1,))
                check("after the error", skipped.pgresult and skipped.pgresult.ntuples or 0, 0)
            else:
                sys.exit("a pipeline hides an error")
            check("after a pipeline", value(one, "SELECT 3"), 3)


def server_side_cursors():
    with connect() as one:
        with one.cursor("through", scrollable=True) as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT id FROM psycopg3 ORDER BY id")
            check("iterated", [row[0] for row in cursor], list(range(ROWS)))
            cursor.scroll(10, mode="absolute")
            check("scrolled", cursor.fetchone(), (10,))
            check("between", value(one, "SELECT count(*) FROM psycopg3"), ROWS)
            check("many", cursor.fetchmany(3), [(11,), (12,), (13,)])
        one.commit()


def cancels():
    with connect() as one, connect() as watcher:
        error = []

        def sleep():
            try:
                one.execute(SLEEP)
            except psycopg.Error as raised:
                error.append(raised.sqlstate)

        sleeper = threading.Thread(target=sleep, daemon=True)
        sleeper.start()
        until_it_runs(watcher)
        one.cancel()
        sleeper.join(PATIENCE)
        check("cancelled", error, ["57014"])
        fails(one, "25P02", "SELECT 1")
        one.rollback()
        check("after", value(one, "SELECT 1"), 1)


def until_it_runs(watcher):
    """Both are in transactions that may write, so that both are on the primary."""
    end = time.monotonic() + PATIENCE
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = %s AND wait_event = 'PgSleep'"
    while value(watcher, running, (SLEEP,)) == 0:
        watcher.rollback()
        if time.monotonic() > end:
            sys.exit("the query to be cancelled never ran")
        time.sleep(0.01)


for part in (connects, transactions, sees_its_own_writes, prepared, copies, pipelines, server_side_cursors, cancels):
    part()
    print(f"OK {part.__name__}", flush=True)
