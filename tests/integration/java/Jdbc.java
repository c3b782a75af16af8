// PostgreSQL's JDBC driver, which prepares on the server from the first execution on.
// usage: java -cp postgresql.jar Jdbc.java PORT [SCENARIO...]
//
// Runs each scenario with many connections at once, and prints a line for what each of them saw.
// A scenario that fails is told on stderr, and the next one runs.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

public class Jdbc {
    static final int CLIENTS = 16;
    static final int SECONDS = 20;

    interface Scenario {
        void run(Client client) throws Exception;
    }

    // One of many: its number, its connection, what it saw, and where it waits for the others.
    static class Client {
        final int number;
        final ExecutorService threads;
        final CyclicBarrier barrier;
        final List<String> heard = new ArrayList<>();
        final Connection connection;

        Client(int number, ExecutorService threads, CyclicBarrier barrier, String... properties) throws SQLException {
            this.number = number;
            this.threads = threads;
            this.barrier = barrier;
            this.connection = open(properties);
        }

        void meet() throws Exception {
            barrier.await(SECONDS, TimeUnit.SECONDS);
        }

        void hear(Object what) {
            heard.add(String.valueOf(what));
        }

        // Executes and hears all rows, or the error's SQLSTATE.
        void ask(PreparedStatement statement, Object... values) throws SQLException {
            try {
                for (int i = 0; i < values.length; i++) {
                    statement.setObject(i + 1, values[i]);
                }
                if (statement.execute()) {
                    hearRows(statement.getResultSet());
                } else {
                    hear("updated " + statement.getUpdateCount());
                }
            } catch (SQLException error) {
                hear(error.getSQLState());
            }
        }

        void ask(String sql, Object... values) throws SQLException {
            try (PreparedStatement statement = connection.prepareStatement(sql)) {
                ask(statement, values);
            }
        }

        void hearRows(ResultSet rows) throws SQLException {
            int columns = rows.getMetaData().getColumnCount();
            while (rows.next()) {
                StringBuilder row = new StringBuilder();
                for (int i = 1; i <= columns; i++) {
                    row.append(i > 1 ? "|" : "").append(rows.getString(i));
                }
                hear(row);
            }
        }
    }

    static int port;
    static int failures;
    static List<String> wanted;

    static Connection open(String... properties) throws SQLException {
        Properties all = new Properties();
        all.setProperty("user", "ana");
        all.setProperty("sslmode", "disable");
        all.setProperty("prepareThreshold", "1");
        all.setProperty("connectTimeout", "20");
        for (int i = 0; i < properties.length; i += 2) {
            all.setProperty(properties[i], properties[i + 1]);
        }
        return DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/main", all);
    }

    // The driver names its statements S_1, S_2...: the same names in all clients, for other texts.
    static void prepared(Client client) throws Exception {
        String[] texts = {"select ?::int + 1", "select ?::int || ' of " + client.number + "'", "select ?::int8 * 2",
            "select ?::int / 0", "select n from generate_series(1, ?) n where n < 3"};
        List<PreparedStatement> statements = new ArrayList<>();
        for (int i = 0; i < texts.length; i++) {
            statements.add(client.connection.prepareStatement(texts[(i + client.number) % texts.length]));
        }
        for (int turn = 0; turn < 6; turn++) {
            for (PreparedStatement statement : statements) {
                client.ask(statement, turn + client.number);
            }
            if (turn == 1 || turn == 4) {
                client.meet();
            }
        }
        for (PreparedStatement statement : statements) {
            statement.close();
        }
        for (int n = 0; n < 20; n++) { // more than preparedStatementCacheQueries: some are closed
            client.ask("select ?::text, " + n, "text " + client.number);
        }
    }

    static void batches(Client client, String prefix) throws Exception {
        String table = prefix + client.number;
        client.ask("create table " + table + " (n int primary key, tag text)");
        client.meet();
        client.connection.setAutoCommit(false);
        try (PreparedStatement insert = client.connection.prepareStatement("insert into " + table + " values (?, ?)")) {
            for (int n = 0; n < 700; n++) {
                insert.setInt(1, n);
                insert.setString(2, "tag " + client.number);
                insert.addBatch();
            }
            client.hear(insert.executeBatch().length);
            client.connection.commit();
            for (int n = 695; n < 705; n++) {
                insert.setInt(1, n);
                insert.setString(2, "again");
                insert.addBatch();
            }
            insert.executeBatch();
        } catch (BatchUpdateException error) {
            client.hear(error.getSQLState());
        }
        client.connection.rollback();
        try (PreparedStatement insert = client.connection.prepareStatement(
                "insert into " + table + " values (?, 'own') returning n", Statement.RETURN_GENERATED_KEYS)) {
            for (int n = 1000; n < 1005; n++) {
                insert.setInt(1, n);
                insert.addBatch();
            }
            insert.executeBatch();
            client.hearRows(insert.getGeneratedKeys());
        }
        client.connection.commit();
        client.ask("select count(*), max(n), min(tag) from " + table);
        client.connection.commit();
    }

    static void cursors(Client client) throws Exception {
        client.connection.setAutoCommit(false);
        String rowsOf = "select n, ?::int from generate_series(1, 500) n";
        try (PreparedStatement statement = client.connection.prepareStatement(rowsOf)) {
            for (int turn = 0; turn < 2; turn++) {
                statement.setFetchSize(30);
                statement.setInt(1, client.number);
                long sum = 0;
                int met = 0;
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next() && rows.getInt(1) < 470) {
                        sum += rows.getLong(1) * rows.getInt(2);
                        met += rows.getInt(1) % 100 == 0 ? 1 : 0;
                        if (rows.getInt(1) == 200) {
                            client.ask("select 'between'");
                        }
                    }
                }
                client.hear(sum + " " + met);
                client.connection.commit();
                client.meet();
            }
        }
    }

    // autosave=always: a savepoint before each statement, so that an error does not end the transaction.
    static void autosave(Client client) throws Exception {
        client.ask("create table work.s" + client.number + " (n int)");
        client.connection.setAutoCommit(false);
        for (int turn = 0; turn < 3; turn++) {
            for (int n = 0; n < 4; n++) {
                client.ask("insert into work.s" + client.number + " select 6 / ?::int", n);
            }
            if (turn == 1) {
                client.connection.rollback();
            } else {
                client.connection.commit();
            }
        }
        client.meet();
        client.ask("alter table work.s" + client.number + " add tag text default 'new'");
        client.ask("select * from work.s" + client.number + " order by n");
        client.connection.commit();
        client.ask("select * from work.s" + client.number + " order by n");
    }

    static void isolation(Client client) throws Exception {
        client.connection.setReadOnly(client.number % 2 == 0);
        client.connection.setTransactionIsolation(
            client.number % 3 == 0 ? Connection.TRANSACTION_SERIALIZABLE : Connection.TRANSACTION_REPEATABLE_READ);
        client.meet();
        client.connection.setAutoCommit(false);
        for (int turn = 0; turn < 3; turn++) {
            client.ask("select current_setting('transaction_isolation'), current_setting('transaction_read_only')");
            client.ask("create temp table mine" + turn + " (n int) on commit drop");
            client.connection.rollback();
        }
        client.connection.setReadOnly(false);
        client.meet();
        client.ask("select current_setting('transaction_isolation'), current_setting('transaction_read_only')");
        client.connection.commit();
        client.connection.setAutoCommit(true);
        client.connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        client.connection.setClientInfo("ApplicationName", "jdbc " + client.number);
        client.meet();
        client.ask("select current_setting('application_name'), current_setting('default_transaction_isolation')");
        client.connection.setSchema("work");
        client.meet();
        client.ask("select current_schema(), current_setting('default_transaction_isolation')");
        client.hear(client.connection.getSchema());
    }

    static void notifications(Client client) throws Exception {
        try (Connection teller = open();
             Statement tells = teller.createStatement();
             Statement listens = client.connection.createStatement()) {
            listens.execute("listen own_" + client.number);
            listens.execute("listen everybody");
            client.meet();
            tells.execute("select pg_notify('everybody', 'from " + client.number + "')");
            for (int n = 0; n < 3; n++) {
                tells.execute("notify own_" + client.number + ", '" + n + "'");
            }
            List<String> own = new ArrayList<>();
            List<String> everybody = new ArrayList<>();
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
            while (own.size() + everybody.size() < CLIENTS + 3 && System.nanoTime() < deadline) {
                PGNotification[] some = client.connection.unwrap(PGConnection.class).getNotifications(1000);
                for (PGNotification each : some == null ? new PGNotification[0] : some) {
                    (each.getName().equals("everybody") ? everybody : own).add(each.getParameter());
                }
            }
            Collections.sort(everybody);
            client.hear(own);
            client.hear(everybody);
            listens.execute("unlisten *");
        }
    }

    static void copies(Client client) throws Exception {
        client.ask("create table work.c" + client.number + " (n int, tag text)");
        client.meet();
        CopyManager manager = client.connection.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder rows = new StringBuilder();
        for (int n = 0; n < 1000; n++) {
            rows.append(n).append("\ttag ").append(client.number).append('\n');
        }
        byte[] bytes = rows.toString().getBytes(StandardCharsets.UTF_8);
        client.hear(manager.copyIn("copy work.c" + client.number + " from stdin", new ByteArrayInputStream(bytes)));
        try {
            byte[] wrong = "x\ty\n".repeat(50000).getBytes(StandardCharsets.UTF_8);
            manager.copyIn("copy work.c" + client.number + " from stdin", new ByteArrayInputStream(wrong));
        } catch (SQLException error) {
            client.hear(error.getSQLState());
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        client.hear(manager.copyOut("copy work.c" + client.number + " to stdout", out));
        client.hear(out.toString().equals(rows.toString()));
        client.ask("select count(*), max(tag) from work.c" + client.number + " where n >= ?", 0);
    }

    static void cancels(Client client) throws Exception {
        client.meet();
        try (PreparedStatement sleep = client.connection.prepareStatement("select pg_sleep(?)")) {
            if (client.number == 0) {
                sleep.setQueryTimeout(1); // the driver cancels by another connection
                client.ask(sleep, 60);
            } else {
                CountDownLatch over = new CountDownLatch(1);
                Future<?> canceller = client.threads.submit(() -> {
                    while (!over.await(200, TimeUnit.MILLISECONDS)) { // nobody tells when the query has arrived
                        sleep.cancel();
                    }
                    return null;
                });
                client.ask(sleep, 60);
                over.countDown();
                canceller.get(SECONDS, TimeUnit.SECONDS);
            }
            client.ask("select ?::int", client.number);
        }
        try (CallableStatement call = client.connection.prepareCall("{? = call upper(?)}")) {
            call.registerOutParameter(1, Types.VARCHAR);
            call.setString(2, "called by " + client.number);
            call.execute();
            client.hear(call.getString(1));
        }
        client.hear(client.connection.isValid(5));
        String[] kinds = {"TABLE"};
        try (ResultSet tables = client.connection.getMetaData().getTables(null, "public", "thing%", kinds)) {
            while (tables.next()) {
                client.hear(tables.getString("TABLE_NAME"));
            }
        }
    }

    static void all(ExecutorService threads, String name, Scenario scenario, String... properties) throws Exception {
        if (!wanted.isEmpty() && !wanted.contains(name)) {
            return;
        }
        CyclicBarrier barrier = new CyclicBarrier(CLIENTS);
        List<Future<Client>> running = new ArrayList<>();
        for (int number = 0; number < CLIENTS; number++) {
            int own = number;
            running.add(threads.submit(() -> {
                Client client = new Client(own, threads, barrier, properties);
                try (Connection connection = client.connection) {
                    scenario.run(client);
                }
                return client;
            }));
        }
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(2 * SECONDS);
        for (Future<Client> each : running) {
            try {
                Client client = each.get(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
                System.out.println(name + " " + client.number + ": " + String.join("; ", client.heard));
            } catch (ExecutionException | TimeoutException error) {
                System.err.println(name + ": " + error);
                failures++;
                barrier.reset(); // nobody waits for it any longer
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        port = Integer.parseInt(arguments[0]);
        wanted = List.of(arguments).subList(1, arguments.length);
        ExecutorService threads = Executors.newCachedThreadPool((task) -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        all(threads, "prepared", Jdbc::prepared, "preparedStatementCacheQueries", "8");
        all(threads, "binary", Jdbc::prepared, "binaryTransfer", "true", "preferQueryMode", "extendedCacheEverything");
        all(threads, "simple", Jdbc::prepared, "preferQueryMode", "simple");
        all(threads, "batches", (client) -> batches(client, "work.b"));
        all(threads, "rewritten", (client) -> batches(client, "work.r"), "reWriteBatchedInserts", "true");
        all(threads, "cursors", Jdbc::cursors);
        all(threads, "autosave", Jdbc::autosave, "autosave", "always");
        all(threads, "isolation", Jdbc::isolation);
        all(threads, "notifications", Jdbc::notifications);
        all(threads, "copies", Jdbc::copies);
        all(threads, "cancels", Jdbc::cancels);
        System.exit(failures == 0 ? 0 : 1);
    }
}
