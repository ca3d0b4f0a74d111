use super::*;

fn name(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_command_is_read_in_any_case_with_or_without_its_end() {
    for text in ["SHOW POOLS", "show pools;", " Show  \"pools\" ; ", "/* x */ SHOW POOLS -- y", "SELECT pools"] {
        assert_eq!(parse(text), Ok(Command::Show(Show::Pools)), "{text}");
    }
    for (word, what) in SHOWS {
        assert_eq!(parse(&format!("SHOW {word}")), Ok(Command::Show(what)));
    }
    assert!(SHOWS.is_sorted_by_key(|(word, _)| *word));
}

#[test]
fn commands_of_pgbouncer_are_read_as_it_reads_them() {
    let cases = [
        ("RELOAD", Command::Reload),
        ("PAUSE", Command::Pause(None)),
        ("PAUSE app", Command::Pause(name("app"))),
        ("RESUME \"My \"\"db\"\"\"", Command::Resume(name("My \"db\""))),
        ("RECONNECT App-1", Command::Reconnect(name("App-1"))),
        ("KILL app", Command::Kill(name("app"))),
        ("KILL_CLIENT 12", Command::KillClient(12)),
        ("WAIT_CLOSE", Command::WaitClose(None)),
        ("DISABLE app", Command::Disable("app".into())),
        ("ENABLE app", Command::Enable("app".into())),
        ("SUSPEND", Command::Suspend),
        ("SHUTDOWN", Command::Shutdown(Ending::Now)),
        ("shutdown wait_for_servers", Command::Shutdown(Ending::TransactionsOver)),
        ("SHUTDOWN WAIT_FOR_CLIENTS", Command::Shutdown(Ending::ClientsGone)),
    ];
    for (text, command) in cases {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
}

fn steer(cluster: Option<&str>, order: ClusterOrder) -> Command {
    Command::Steer { cluster: cluster.map(Into::into), order }
}

#[test]
fn commands_of_ours_are_read() {
    let cases = [
        ("ROLLBACK", Command::Rollback(None)),
        ("ROLLBACK TO 3", Command::Rollback(Some(3))),
        ("DETACH NODE n1", Command::Detach("n1".into())),
        ("attach node 'n 1'", Command::Attach("n 1".into())),
        ("SWITCHOVER", steer(None, ClusterOrder::Switchover { to: None })),
        ("switchover to n1", steer(None, ClusterOrder::Switchover { to: Some("n1".into()) })),
        ("SWITCHOVER TO n1 IN main", steer(Some("main"), ClusterOrder::Switchover { to: Some("n1".into()) })),
        ("FAILOVER", steer(None, ClusterOrder::Failover { to: None, allow_data_loss: false })),
        (
            "FAILOVER TO n1 ALLOW DATA LOSS IN main",
            steer(Some("main"), ClusterOrder::Failover { to: Some("n1".into()), allow_data_loss: true }),
        ),
        ("REJOIN n0", steer(None, ClusterOrder::Rejoin { node: "n0".into() })),
        ("REJOIN NODE n0", steer(None, ClusterOrder::Rejoin { node: "n0".into() })),
        ("REINIT n0 IN main", steer(Some("main"), ClusterOrder::Reinit { node: "n0".into() })),
        ("PAUSE FAILOVER", steer(None, ClusterOrder::PauseFailover)),
        ("PAUSE \"failover\"", Command::Pause(name("failover"))),
        ("RESUME FAILOVER IN main", steer(Some("main"), ClusterOrder::ResumeFailover)),
        ("ROLLBACK TO SAVEPOINT a", Command::Transaction("ROLLBACK")),
        ("BEGIN", Command::Transaction("BEGIN")),
    ];
    for (text, command) in cases {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
}

#[test]
fn what_drivers_say_on_their_own_is_understood() {
    let set = |name: &str, value: &str| Command::Set { name: name.into(), value: value.into() };
    let cases = [
        ("", Command::Empty),
        (";", Command::Empty),
        ("-- ping", Command::Empty),
        ("SELECT 1", Command::SelectNumber(1)),
        ("select version()", Command::SelectVersion),
        ("SHOW server_version", Command::ShowSetting("server_version".into())),
        ("SHOW TRANSACTION ISOLATION LEVEL", Command::ShowSetting("transaction_isolation".into())),
        ("SET application_name = 'a; b'", set("application_name", "'a; b'")),
        ("set session extra_float_digits to 3;", set("extra_float_digits", "3")),
        ("SET TIME ZONE 'UTC'", set("timezone", "'UTC'")),
        ("SET default_pool_size=50", set("default_pool_size", "50")),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            set("default_transaction_isolation", "AS TRANSACTION READ ONLY"),
        ),
        ("DISCARD ALL", Command::Forget("DISCARD ALL")),
    ];
    for (text, command) in cases {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
}

#[test]
fn explain_route_takes_any_statement() {
    let route = |sql: &str, user: Option<&str>, database: Option<&str>| Command::ExplainRoute {
        sql: sql.into(),
        user: user.map(str::to_owned),
        database: database.map(str::to_owned),
    };
    let cases = [
        ("EXPLAIN ROUTE SELECT 1", route("SELECT 1", None, None)),
        ("explain route select 1 for alice;", route("select 1", Some("alice"), None)),
        ("EXPLAIN ROUTE SELECT $1 FOR alice \"my app\"", route("SELECT $1", Some("alice"), Some("my app"))),
        ("EXPLAIN ROUTE SELECT a FROM t FOR UPDATE", route("SELECT a FROM t FOR UPDATE", None, None)),
        ("EXPLAIN ROUTE SELECT a FROM t FOR UPDATE NOWAIT", route("SELECT a FROM t FOR UPDATE NOWAIT", None, None)),
        (
            "EXPLAIN ROUTE SELECT a FROM t FOR KEY SHARE FOR bob",
            route("SELECT a FROM t FOR KEY SHARE", Some("bob"), None),
        ),
        ("EXPLAIN ROUTE DECLARE c CURSOR FOR SELECT 1", route("DECLARE c CURSOR FOR SELECT 1", None, None)),
        ("EXPLAIN ROUTE SELECT 1 FOR \"update\"", route("SELECT 1", Some("update"), None)),
        ("EXPLAIN ROUTE /*NO LOAD BALANCE*/ SELECT 1", route("/*NO LOAD BALANCE*/ SELECT 1", None, None)),
        ("EXPLAIN ROUTE SELECT ';'", route("SELECT ';'", None, None)),
    ];
    for (text, command) in cases {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
    let long = format!("EXPLAIN ROUTE SELECT {}", vec!["1"; 5_000].join(", "));
    assert!(matches!(parse(&long), Ok(Command::ExplainRoute { .. })));
}

#[test]
fn what_is_no_command_is_refused_with_words_that_help() {
    let cases = [
        ("FLY", "invalid command 'FLY', use SHOW HELP"),
        ("SHOW", "SHOW needs to be told what; see SHOW HELP"),
        ("SHOW WINGS", "there is no SHOW wings, use SHOW HELP"),
        ("SHOW POOLS CLIENTS", "invalid command 'SHOW POOLS CLIENTS', use SHOW HELP"),
        ("DISABLE", "DISABLE needs a database"),
        ("KILL_CLIENT", "KILL_CLIENT needs a client's id, as SHOW CLIENTS shows it"),
        ("KILL_CLIENT you", "invalid command 'KILL_CLIENT you', use SHOW HELP"),
        ("DETACH NODE", "DETACH needs a node's name"),
        ("DETACH n1", "invalid command 'DETACH n1', use SHOW HELP"),
        ("SHUTDOWN now", "invalid command 'SHUTDOWN now', use SHOW HELP"),
        ("EXPLAIN ROUTE", "EXPLAIN ROUTE needs a statement"),
        ("SHOW $1", "the console takes no parameters ($n)"),
        ("SHOW POOLS; RELOAD", "cannot insert multiple commands into a prepared statement"),
        ("SELECT * FROM pg_class", "invalid command 'SELECT * FROM pg_class', use SHOW HELP"),
    ];
    for (text, words) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), words, "{text}");
    }
}

#[test]
fn texts_are_bounded() {
    assert_eq!(split(&" ".repeat(TEXT_MAX_BYTES + 1)), Err(CommandError::TooLong(TEXT_MAX_BYTES + 1)));
    assert_eq!(split(&"SHOW POOLS;".repeat(COMMANDS_MAX)).unwrap().len(), COMMANDS_MAX);
    assert_eq!(split(&"SHOW POOLS;".repeat(COMMANDS_MAX + 1)), Err(CommandError::TooMany));
    let words = parse(&"x ".repeat(TEXT_MAX_BYTES / 2)).unwrap_err().to_string();
    assert!(words.len() < 200, "{words}");
}

#[test]
fn no_text_makes_it_panic() {
    let pieces = [
        "SHOW",
        "'",
        "\"",
        "$",
        "$a$",
        "--",
        "/*",
        "*/",
        ";",
        "ö",
        "\0",
        "\\",
        "e'",
        "FOR",
        "EXPLAIN ROUTE",
        "1",
        "-",
        ".",
    ];
    for a in pieces {
        for b in pieces {
            for c in pieces {
                let text = [a, b, c].join(" ");
                let _ = parse(&text);
                let _ = parse(&text.replace(' ', ""));
            }
        }
    }
}
