import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;

/** JDBC through the proxy: java -cp postgresql.jar WithJdbc.java HOST PORT USER DATABASE. */
public class WithJdbc {
    static final Duration PATIENCE = Duration.ofSeconds(60);
    static final int ROWS = 2000;
    static final String SLEEP = "SELECT pg_sleep(120) /* JDBC */";

    static String url;
    static String user;

    interface Part {
        void run() throws Exception;
    }

    interface Failing {
        void run() throws SQLException;
    }

    public static void main(String[] args) throws Exception {
        url = "jdbc:postgresql://" + args[0] + ":" + args[1] + "/" + args[3];
        user = args[2];
        part("connects", WithJdbc::connects);
        part("transactions", WithJdbc::transactions);
        part("sees_its_own_writes", WithJdbc::seesItsOwnWrites);
        part("prepared", WithJdbc::prepared);
        part("another_shape", WithJdbc::anotherShape);
        part("batches", WithJdbc::batches);
        part("portions", WithJdbc::portions);
        part("copies", WithJdbc::copies);
        part("query_modes", WithJdbc::queryModes);
        part("read_only", WithJdbc::readOnly);
        part("cancels", WithJdbc::cancels);
        part("timeouts", WithJdbc::timeouts);
    }

    static void part(String name, Part part) throws Exception {
        part.run();
        System.out.println("OK " + name);
    }

    static Connection connect(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", user);
        for (int i = 0; i < options.length; i += 2) {
            properties.setProperty(options[i], options[i + 1]);
        }
        return DriverManager.getConnection(url, properties);
    }

    static void check(String what, Object found, Object expected) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError(what + ": " + found + " instead of " + expected);
        }
    }

    static void fails(String sqlstate, Failing failing) {
        try {
            failing.run();
        } catch (SQLException error) {
            check(error.getMessage(), error.getSQLState(), sqlstate);
            return;
        }
        throw new AssertionError("no error " + sqlstate);
    }

    static String value(Connection connection, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            return value(statement, parameters);
        }
    }

    static String value(PreparedStatement statement, Object... parameters) throws SQLException {
        for (int i = 0; i < parameters.length; i++) {
            statement.setObject(i + 1, parameters[i]);
        }
        try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            return rows.getString(1);
        }
    }

    static void run(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    static void connects() throws SQLException {
        try (Connection one = connect()) {
            check("version", one.getMetaData().getDatabaseMajorVersion() >= 15, true);
            check("value", value(one, "SELECT ?::int + 1", 41), "42");
            check("text", value(one, "SELECT ?", "é'\\"), "é'\\");
            check("valid", one.isValid(5), true);
            try (ResultSet tables = one.getMetaData().getTables(null, "pg_catalog", "pg_class", null)) {
                check("tables", tables.next(), true);
            }
            fails("42P01", () -> run(one, "SELECT * FROM there_is_none"));
            fails("22012", () -> value(one, "SELECT 1 / ?::int", 0));
            try (Statement both = one.createStatement()) {
                both.execute("SELECT 1; SELECT 2");
                check("more", both.getMoreResults(), true);
                both.getResultSet().next();
                check("second", both.getResultSet().getInt(1), 2);
            }
        }
    }

    static void transactions() throws SQLException {
        try (Connection one = connect()) {
            run(one, "DROP TABLE IF EXISTS jdbc");
            run(one, "CREATE TABLE jdbc (id int PRIMARY KEY, text text)");
            one.setAutoCommit(false);
            run(one, "INSERT INTO jdbc VALUES (1, 'kept')");
            one.commit();
            run(one, "INSERT INTO jdbc VALUES (2, 'given up')");
            check("inside", value(one, "SELECT count(*) FROM jdbc"), "2");
            one.rollback();
            fails("23505", () -> run(one, "INSERT INTO jdbc VALUES (1, 'again')"));
            fails("25P02", () -> run(one, "SELECT 1"));
            one.rollback();
            Savepoint here = one.setSavepoint("here");
            run(one, "DELETE FROM jdbc");
            one.rollback(here);
            one.commit();
            check("after all", value(one, "SELECT count(*) FROM jdbc"), "1");
            one.rollback();
            one.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            check("level", value(one, "SHOW transaction_isolation"), "serializable");
            one.commit();
        }
    }

    static void seesItsOwnWrites() throws SQLException {
        try (Connection one = connect("prepareThreshold", "1")) {
            PreparedStatement write = one.prepareStatement("UPDATE jdbc SET text = ? WHERE id = 1");
            PreparedStatement read = one.prepareStatement("SELECT text FROM jdbc WHERE id = ?");
            for (int turn = 0; turn < 50; turn++) {
                write.setString(1, "" + turn);
                write.executeUpdate();
                check("own write", value(read, 1), "" + turn);
            }
        }
    }

    static void prepared() throws SQLException {
        // Both name their statements S_1, S_2 and so on, and mean others; a small cache closes many.
        String[] options = {"prepareThreshold", "1", "preparedStatementCacheQueries", "3"};
        try (Connection one = connect(options); Connection two = connect(options)) {
            for (int turn = 0; turn < 20; turn++) {
                check("one", value(one, "SELECT ?::int + 1", turn), "" + (turn + 1));
                check("two", value(two, "SELECT ?::text || 'x'", "" + turn), turn + "x");
                check("many", value(one, "SELECT ?::int * " + turn % 5, turn), "" + turn * (turn % 5));
                one.setAutoCommit(false);
                run(one, "UPDATE jdbc SET text = '" + turn + "'");
                check("inside", value(one, "SELECT text FROM jdbc WHERE id = ?", 1), "" + turn);
                one.commit();
                one.setAutoCommit(true);
                check("after", value(one, "SELECT text FROM jdbc WHERE id = ?", 1), "" + turn);
            }
        }
    }

    static void anotherShape() throws SQLException {
        try (Connection one = connect("prepareThreshold", "1"); Connection other = connect()) {
            PreparedStatement read = one.prepareStatement("SELECT * FROM jdbc WHERE id = ?");
            check("before", value(read, 1), "1");
            check("again", value(read, 1), "1");
            run(one, "ALTER TABLE jdbc ADD COLUMN more int DEFAULT 7");
            // The driver prepares anew when it hears that a kept plan must not change its result.
            check("after", value(read, 1), "1");
            run(one, "ALTER TABLE jdbc DROP COLUMN more");
            check("at last", value(read, 1), "1");
            run(one, "DISCARD ALL");
            check("discarded", value(other, "SELECT 1"), "1");
        }
    }

    static void batches() throws SQLException {
        for (String rewrite : new String[] {"false", "true"}) {
            try (Connection one = connect("reWriteBatchedInserts", rewrite)) {
                run(one, "TRUNCATE jdbc");
                one.setAutoCommit(false);
                PreparedStatement insert = one.prepareStatement("INSERT INTO jdbc VALUES (?, ?)");
                for (int number = 0; number < ROWS; number++) {
                    insert.setInt(1, number);
                    insert.setString(2, "row " + number);
                    insert.addBatch();
                }
                check("counts", insert.executeBatch().length, ROWS);
                one.commit();
                one.setAutoCommit(true);
                check("rows", value(one, "SELECT count(*) FROM jdbc"), "" + ROWS);
                for (int number = ROWS; number >= ROWS - 5; number--) {
                    insert.setInt(1, number);
                    insert.setString(2, "again");
                    insert.addBatch();
                }
                try {
                    insert.executeBatch();
                    throw new AssertionError("a batch hides an error");
                } catch (BatchUpdateException error) {
                    check("in a batch", error.getSQLState(), "23505");
                }
                check("after a batch", value(one, "SELECT 1"), "1");
            }
        }
    }

    static void portions() throws SQLException {
        try (Connection one = connect(); Statement statement = one.createStatement()) {
            one.setAutoCommit(false);
            statement.setFetchSize(7);
            try (ResultSet rows = statement.executeQuery("SELECT id FROM jdbc ORDER BY id")) {
                for (int number = 0; number < ROWS; number++) {
                    check("next", rows.next(), true);
                    check("id", rows.getInt(1), number);
                    if (number % 500 == 0) {
                        check("between", value(one, "SELECT 5"), "5");
                    }
                }
            }
            one.commit();
        }
    }

    static void copies() throws Exception {
        try (Connection one = connect()) {
            run(one, "TRUNCATE jdbc");
            CopyManager copies = one.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder lines = new StringBuilder();
            for (int number = 0; number < ROWS; number++) {
                lines.append(number).append("\trow ").append(number).append('\n');
            }
            check("in", copies.copyIn("COPY jdbc FROM STDIN", new StringReader(lines.toString())), (long) ROWS);
            StringWriter out = new StringWriter();
            copies.copyOut("COPY (SELECT * FROM jdbc ORDER BY id) TO STDOUT", out);
            check("out", out.toString(), lines.toString());
            fails("22P02", () -> {
                CopyIn bad = copies.copyIn("COPY jdbc FROM STDIN");
                byte[] data = "no number\tx\n".getBytes();
                bad.writeToCopy(data, 0, data.length);
                bad.endCopy();
            });
            CopyIn givenUp = copies.copyIn("COPY jdbc FROM STDIN");
            byte[] data = (ROWS + "\tgiven up\n").getBytes();
            givenUp.writeToCopy(data, 0, data.length);
            givenUp.cancelCopy();
            check("after", value(one, "SELECT count(*) FROM jdbc"), "" + ROWS);
        }
    }

    static void queryModes() throws SQLException {
        for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"}) {
            try (Connection one = connect("preferQueryMode", mode, "prepareThreshold", "1")) {
                for (int turn = 0; turn < 10; turn++) {
                    check(mode, value(one, "SELECT text FROM jdbc WHERE id = ?", turn), "row " + turn);
                }
            }
        }
    }

    static void readOnly() throws SQLException {
        try (Connection one = connect()) {
            one.setAutoCommit(false);
            one.setReadOnly(true);
            check("read", value(one, "SELECT count(*) FROM jdbc"), "" + ROWS);
            fails("25006", () -> run(one, "DELETE FROM jdbc"));
            one.rollback();
        }
    }

    static void cancels() throws Exception {
        try (Connection one = connect(); Connection watcher = connect(); Statement sleep = one.createStatement()) {
            // In transactions that may write, so that both are on the primary.
            one.setAutoCommit(false);
            watcher.setAutoCommit(false);
            CompletableFuture<String> end = CompletableFuture.supplyAsync(() -> {
                try {
                    sleep.execute(SLEEP);
                    return "nothing";
                } catch (SQLException error) {
                    return error.getSQLState();
                }
            });
            Instant limit = Instant.now().plus(PATIENCE);
            String running = "SELECT count(*) FROM pg_stat_activity WHERE query = ? AND wait_event = 'PgSleep'";
            while (value(watcher, running, SLEEP).equals("0")) {
                watcher.rollback();
                check("it ran in time", Instant.now().isBefore(limit), true);
            }
            sleep.cancel();
            check("cancelled", end.get(PATIENCE.toSeconds(), TimeUnit.SECONDS), "57014");
            one.rollback();
            check("after", value(one, "SELECT 1"), "1");
        }
    }

    static void timeouts() throws SQLException {
        try (Connection one = connect(); Statement sleep = one.createStatement()) {
            // The driver's timer sends a cancel request.
            sleep.setQueryTimeout(1);
            fails("57014", () -> sleep.execute(SLEEP));
            check("after", value(one, "SELECT 1"), "1");
        }
    }
}
