//! What PgBouncer has got wrong, by the numbers under which it was told.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use howdah::{
    auth::{Secret, scram::ScramError},
    net::stream::SocketOptions,
    server::{ConnectError, ServerTarget, ServerTls, simple::ControlSession, simple::QueryError},
    wire::sqlstate::SqlState,
};
use howdah_tests::{
    Proxy,
    clients::{ask, config, connect, connect_with, sqlstate},
    raw::{Raw, message, startup, tags},
    shared_cluster,
};

use super::{proxy, refusal, sql};

/// A `search_path` in a client's startup message must not reach the look-up of its password.
#[test]
fn regression_cve_2025_12819_a_clients_search_path_is_not_the_look_ups() {
    sql("CREATE ROLE shadow LOGIN PASSWORD 'right'; CREATE SCHEMA evil; \
         CREATE VIEW evil.pg_authid AS SELECT rolname, 'evil'::text AS rolpassword FROM pg_catalog.pg_roles; \
         CREATE FUNCTION evil.yes(name, name) RETURNS boolean LANGUAGE sql AS 'SELECT true'; \
         CREATE OPERATOR evil.= (LEFTARG = name, RIGHTARG = name, FUNCTION = evil.yes); \
         GRANT USAGE ON SCHEMA evil TO public; GRANT SELECT ON evil.pg_authid TO public; \
         CREATE ROLE strayed SUPERUSER LOGIN PASSWORD 'ask'; \
         ALTER ROLE strayed SET search_path = evil, pg_catalog");
    // Nothing in it says a schema, and its user has the worst path of all.
    let query = "\"SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1::name\"";
    let proxy = proxy("password", |config| {
        let config = config.set("auth_user", "\"strayed\"").set("auth_query", query);
        config.users(&[super::FILED[0], ("strayed", "ask")])
    });
    let login = |password: &str, path: (&str, &str)| {
        let mut raw = Raw::open(proxy.port());
        raw.send(&startup(&[("user", "shadow"), ("database", "postgres"), path])).unwrap();
        raw.next().unwrap();
        raw.send(&message(b'p', format!("{password}\0").as_bytes())).unwrap();
        raw.until_ready()
    };
    for path in [("search_path", "evil, pg_catalog"), ("options", "-c search_path=evil,pg_catalog")] {
        let told = login("evil", path);
        assert_eq!((tags(&told), told[0].sqlstate()), ("E".into(), "28P01".into()), "{path:?}");
        assert!(tags(&login("right", path)).ends_with('Z'), "{path:?}");
    }
}

/// A password whose time is over opens nothing, though it is right.
#[test]
fn regression_cve_2025_2291_a_password_that_has_expired_is_refused() {
    sql("CREATE ROLE expired LOGIN PASSWORD 'right' VALID UNTIL '2001-01-01'");
    for auth_type in ["scram-sha-256", "md5", "password"] {
        let proxy = proxy(auth_type, |config| config.set("auth_user", "\"asker\""));
        let told = refusal(proxy.client().user("expired", "right").ask("SELECT 1"));
        assert!(told.contains("password authentication failed for user \"expired\""), "{auth_type}: {told}");
    }
}

/// Lengths inside of a SCRAM message that overflow whoever adds to them.
#[test]
fn regression_cve_2026_6664_lengths_in_a_scram_packet_are_checked() {
    let proxy = proxy("scram-sha-256", |config| config);
    let first = b"n,,n=,r=abcdefghijklmnopqrstuvwx";
    for length in [0_u32, 1, 33, 1000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_fffe, 0xffff_ffff] {
        let mut raw = Raw::open(proxy.port());
        raw.send(&startup(&[("user", "postgres"), ("database", "postgres")])).unwrap();
        raw.next().unwrap();
        let body = [&b"SCRAM-SHA-256\0"[..], &length.to_be_bytes(), first].concat();
        raw.send(&message(b'p', &body)).unwrap();
        let told = raw.until_end();
        assert_eq!((tags(&told), told[0].sqlstate()), ("E".into(), "08P01".into()), "{length}");
    }
    for length in [0_u32, 3, 0x7fff_ffff, 0xffff_ffff] {
        let mut raw = Raw::open(proxy.port());
        raw.send(&startup(&[("user", "postgres"), ("database", "postgres")])).unwrap();
        raw.next().unwrap();
        raw.send(&[&[b'p'][..], &length.to_be_bytes(), b"SCRAM-SHA-256\0"].concat()).unwrap();
        let told = raw.until_end();
        assert_eq!((tags(&told), told[0].sqlstate()), ("E".into(), "08P01".into()), "{length}");
    }
    assert_eq!(proxy.client().ask("SELECT 1").unwrap(), "1");
}

/// A nonce that is longer than whoever copies it expects, from a client.
#[test]
fn regression_cve_2026_6665_a_clients_nonce_may_be_as_long_as_a_message() {
    let proxy = proxy("scram-sha-256", |config| config);
    for (length, answer) in [(900, "R"), (2_000, "E"), (60_000, "E")] {
        let mut raw = Raw::open(proxy.port());
        raw.send(&startup(&[("user", "postgres"), ("database", "postgres")])).unwrap();
        raw.next().unwrap();
        let first = format!("n,,n=,r={}", "x".repeat(length));
        let count = u32::try_from(first.len()).unwrap().to_be_bytes();
        // A message that is too long may be refused before it has been sent.
        let _ = raw.send(&message(b'p', &[&b"SCRAM-SHA-256\0"[..], &count, first.as_bytes()].concat()));
        assert_eq!(tags(&[raw.next().unwrap()]), answer, "{length}");
    }
    assert_eq!(proxy.client().ask("SELECT 1").unwrap(), "1");
}

/// Plays a server: reads what comes and says what it is told, once for each message of the client.
fn server_that_says(answers: Vec<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        for answer in answers {
            if !matches!(stream.read(&mut bytes), Ok(1..)) || stream.write_all(&answer).is_err() {
                return;
            }
        }
        // The end comes when the client has read all.
        let _ = stream.read(&mut bytes);
    });
    port
}

fn target(port: u16) -> ServerTarget {
    ServerTarget {
        node: "n0".into(),
        host: "127.0.0.1".into(),
        port,
        user: "postgres".into(),
        database: "postgres".into(),
        secret: Some(Secret::Plain("pencil".into())),
        tls: ServerTls::DISABLED,
        connect_timeout: Duration::from_secs(20),
        socket: SocketOptions::default(),
        parameters: Arc::from([]),
    }
}

/// The same from a server.
#[tokio::test]
async fn regression_cve_2026_6665_a_servers_nonce_may_be_as_long_as_a_message() {
    for length in [900, 2_000, 60_000] {
        let mechanisms = [&10_u32.to_be_bytes()[..], b"SCRAM-SHA-256\0\0"].concat();
        let challenge = format!("r={},s=c2FsdA==,i=4096", "x".repeat(length));
        let challenge = [&11_u32.to_be_bytes()[..], challenge.as_bytes()].concat();
        let port = server_that_says(vec![message(b'R', &mechanisms), message(b'R', &challenge)]);
        let refused = ControlSession::connect(&target(port)).await.unwrap_err();
        let expected = if length < 1_000 {
            matches!(refused, ConnectError::Scram(ScramError::Nonce))
        } else {
            matches!(refused, ConnectError::Scram(ScramError::Malformed(_)))
        };
        assert!(expected, "{length}: {refused:?}");
    }
}

/// An error of a server that has no SQLSTATE, nor anything else.
#[tokio::test]
async fn regression_cve_2026_6666_a_servers_error_needs_no_sqlstate() {
    for body in [&b"SFATAL\0Mno code\0\0"[..], b"\0"] {
        let port = server_that_says(vec![message(b'E', body)]);
        let refused = ControlSession::connect(&target(port)).await.unwrap_err();
        let ConnectError::Startup(told) = refused else { panic!("{refused:?}") };
        assert_eq!(told.sqlstate, SqlState::INTERNAL_ERROR);

        let ready = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
        let port = server_that_says(vec![ready, [message(b'E', body), message(b'Z', b"I")].concat()]);
        let mut session = ControlSession::connect(&target(port)).await.unwrap();
        let refused = session.query("SELECT").await.unwrap_err();
        assert!(matches!(refused, QueryError::Server(told) if told.sqlstate == SqlState::INTERNAL_ERROR));
    }
}

/// A node whose errors lose their SQLSTATE on the way to the proxy.
fn without_sqlstates(node: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", node)) else { continue };
            let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                let _ = std::io::copy(&mut asks, &mut asked);
                let _ = asked.shutdown(std::net::Shutdown::Both);
            });
            thread::spawn(move || {
                let _ = pass_on(server, &client);
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    port
}

fn pass_on(mut server: TcpStream, mut client: &TcpStream) -> std::io::Result<()> {
    loop {
        let mut header = [0; 5];
        server.read_exact(&mut header)?;
        let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        server.read_exact(&mut body)?;
        if header[0] == b'E' {
            let fields = body.split_inclusive(|byte| *byte == 0).filter(|field| field[0] != b'C');
            body = fields.flatten().copied().collect();
        }
        client.write_all(&message(header[0], &body))?;
    }
}

/// The same in a query of a client: the proxy looks into such an error to see whether another node should be asked.
#[tokio::test]
async fn regression_cve_2026_6666_an_error_without_sqlstate_is_passed_on() {
    let node = shared_cluster().primary().port;
    let behind = without_sqlstates(node);
    let proxy = Proxy::start(shared_cluster(), |config| {
        let config = config.without_router().set("pool_mode", "\"transaction\"");
        config.set("server_tls_sslmode", "\"disable\"").through(node, behind)
    });
    let mut raw = Raw::login(proxy.port(), "postgres");
    for _ in 0..2 {
        let told = raw.query("SELECT 1/0");
        assert_eq!((tags(&told), told[0].text()), ("EZ".into(), "division by zero".into()));
        assert_eq!(told[0].sqlstate(), "");
    }
    assert_eq!(tags(&raw.query("SELECT 1")), "TDCZ");
    let mut nowhere = Raw::open(proxy.port());
    nowhere.send(&startup(&[("user", "postgres"), ("database", "nowhere")])).unwrap();
    assert_eq!(tags(&nowhere.until_ready()).chars().last(), Some('E'));
    assert_eq!(ask(&connect(proxy.port(), "postgres").await, "SELECT 1").await.unwrap(), "1");
}

/// Who may look at the console may not end other people's sessions.
#[tokio::test]
async fn regression_cve_2026_6667_those_who_may_look_may_not_kill() {
    shared_cluster().primary().psql("CREATE ROLE looks LOGIN").unwrap();
    let proxy = Proxy::start(shared_cluster(), |config| config.set("stats_users", "[\"looks\"]"));
    let victim = connect(proxy.port(), "postgres").await;
    let console = |user: &str| {
        let mut config = config(proxy.port(), "howdah");
        config.user(user);
        config
    };
    let (looks, rules) = (connect_with(console("looks")).await, connect_with(console("postgres")).await);
    let clients = looks.query("SHOW CLIENTS", &[]).await.unwrap();
    let is_victim = |row: &&tokio_postgres::Row| row.get::<_, &str>("database") == "postgres";
    let id: i64 = clients.iter().find(is_victim).unwrap().get("id");

    for command in [&*format!("KILL_CLIENT {id}"), "KILL postgres", "PAUSE", "RELOAD", "SHUTDOWN", "DISABLE postgres"] {
        let refused = looks.simple_query(command).await.unwrap_err();
        assert_eq!(sqlstate(&refused), "42501", "{command}: {refused:?}");
    }
    assert_eq!(ask(&victim, "SELECT 1").await.unwrap(), "1");

    rules.simple_query(&format!("KILL_CLIENT {id}")).await.unwrap();
    assert!(ask(&victim, "SELECT 1").await.is_err());
}
