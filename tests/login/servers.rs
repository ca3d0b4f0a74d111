//! Logging in works against real servers in every way they ask.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    time::Duration,
};

use howdah::{
    auth::Secret,
    config::SslMode,
    demo::{ClusterOptions, PgCluster, PgNode},
    net::stream::Stream,
    server::{
        ConnectError, ServerTarget,
        cancel::cancel,
        connect,
        simple::{ControlSession, News, QueryError},
    },
    wire::sqlstate::SqlState,
};
use tokio::net::TcpListener;

use super::{certificates::Certificates, plain, target};

/// A node whose users are named after the way in which they are asked for the password `pencil`.
fn node_with_every_method(certificates: &Certificates) -> PgCluster {
    let extra_conf = vec![("unix_socket_directories".to_owned(), ".".to_owned())];
    let cluster = PgCluster::start(ClusterOptions { standbys: 0, extra_conf, ..Default::default() }).unwrap();
    let node = cluster.primary();
    node.psql(
        "CREATE ROLE scram LOGIN PASSWORD 'pencil'; CREATE ROLE plain LOGIN PASSWORD 'pencil';
         CREATE ROLE tls LOGIN PASSWORD 'pencil'; CREATE ROLE limited LOGIN CONNECTION LIMIT 0;
         CREATE ROLE unicode LOGIN PASSWORD E'\\u00aa\\u2168';
         SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 'pencil';",
    )
    .unwrap();
    let hba = "local all all scram-sha-256\n\
               host all plain 127.0.0.1/32 password\n\
               host all md5 127.0.0.1/32 md5\n\
               host all scram,unicode 127.0.0.1/32 scram-sha-256\n\
               hostssl all tls 127.0.0.1/32 scram-sha-256\n\
               host all postgres,limited 127.0.0.1/32 trust\n";
    fs::write(node.data.join("pg_hba.conf"), hba).unwrap();
    show_certificate(node, certificates, "localhost");
    node.alter_system("ssl", "on").unwrap();
    cluster
}

fn show_certificate(node: &PgNode, certificates: &Certificates, name: &str) {
    let owner = fs::metadata(&node.data).unwrap();
    for (from, to) in [("pem", "server.crt"), ("key", "server.key")] {
        let to = node.data.join(to);
        fs::copy(certificates.file(&format!("{name}.{from}")), &to).unwrap();
        chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

async fn failure(target: &ServerTarget) -> ConnectError {
    connect(target).await.expect_err("the server lets nobody in like this")
}

#[tokio::test]
async fn we_log_in_to_servers_in_every_way_they_ask() {
    let certificates = Certificates::make("servers");
    let cluster = node_with_every_method(&certificates);
    let node = cluster.primary();
    let to = |user, secret| target("127.0.0.1", node.port, user, secret);

    for user in ["plain", "md5", "scram"] {
        let login = connect(&to(user, plain("pencil"))).await.unwrap();
        assert!(login.pid > 0 && login.key.len() >= 4, "{user}");
        assert!(login.parameters.iter().any(|(name, value)| name == "application_name" && value == "login test"));
        assert!(login.unread.is_empty());

        let refused = failure(&to(user, plain("pencils"))).await;
        assert_eq!(refused.sqlstate(), Some(SqlState::INVALID_PASSWORD), "{user}");
        assert!(matches!(refused, ConnectError::Auth(_)), "{user}");

        assert!(matches!(failure(&to(user, None)).await, ConnectError::NoSecret { .. }), "{user}");
    }
    connect(&to("unicode", plain("a\u{2168}"))).await.expect("SASLprep makes both passwords the same");

    let stored = node.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'md5'").unwrap();
    connect(&to("md5", Some(Secret::parse(&stored)))).await.expect("the stored hash is as good as the password");
    let stored = node.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram'").unwrap();
    let verifier_only = failure(&to("scram", Some(Secret::parse(&stored)))).await;
    assert!(matches!(verifier_only, ConnectError::NoSecret { .. }), "a verifier proves nothing to a server");

    let socket = target(node.data.to_str().unwrap(), node.port, "scram", plain("pencil"));
    assert!(matches!(connect(&socket).await.unwrap().stream, Stream::Unix(_)));

    refusals_are_told_apart(node).await;
    tls_is_used_as_the_mode_says(node, &certificates).await;
    control_sessions_ask_and_listen(node).await;
}

async fn refusals_are_told_apart(node: &PgNode) {
    let nowhere = ServerTarget { port: 1, ..target("127.0.0.1", node.port, "postgres", None) };
    let refused = failure(&nowhere).await;
    assert!(matches!(refused, ConnectError::Refused { .. }) && refused.is_unreachable());

    let no_database = ServerTarget { database: "nowhere".into(), ..target("127.0.0.1", node.port, "postgres", None) };
    let refused = failure(&no_database).await;
    assert_eq!(refused.sqlstate(), Some(SqlState::INVALID_CATALOG_NAME));
    assert!(matches!(refused, ConnectError::Startup(_)) && !refused.is_unreachable());

    assert!(failure(&target("127.0.0.1", node.port, "limited", None)).await.is_full());

    let not_in_hba = failure(&target("127.0.0.1", node.port, "stranger", None)).await;
    assert_eq!(not_in_hba.sqlstate(), Some(SqlState::INVALID_AUTHORIZATION_SPECIFICATION));

    // A host that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limit = Duration::from_millis(50);
    let dead =
        ServerTarget { connect_timeout: limit, ..target("127.0.0.1", silent.local_addr().unwrap().port(), "x", None) };
    assert!(matches!(failure(&dead).await, ConnectError::Timeout { after } if after == limit));
}

async fn tls_is_used_as_the_mode_says(node: &PgNode, certificates: &Certificates) {
    let to = |host: &str, user, mode, authority| ServerTarget {
        tls: certificates.server_tls(mode, authority),
        ..target(host, node.port, user, plain("pencil"))
    };
    for (host, user, mode, authority, tls) in [
        ("127.0.0.1", "scram", SslMode::Disable, None, false),
        ("127.0.0.1", "scram", SslMode::Allow, None, false),
        ("127.0.0.1", "tls", SslMode::Allow, None, true),
        ("127.0.0.1", "scram", SslMode::Prefer, None, true),
        ("127.0.0.1", "tls", SslMode::Require, None, true),
        ("127.0.0.1", "tls", SslMode::VerifyCa, Some("ca.pem"), true),
        ("localhost", "tls", SslMode::VerifyFull, Some("ca.pem"), true),
    ] {
        let login = connect(&to(host, user, mode, authority)).await.unwrap();
        assert_eq!(login.stream.is_tls(), tls, "{user} by {mode:?}");
    }
    for (host, mode, authority) in [
        ("localhost", SslMode::VerifyCa, "self-signed.pem"),
        ("localhost", SslMode::VerifyFull, "self-signed.pem"),
        ("127.0.0.1", SslMode::VerifyFull, "ca.pem"),
    ] {
        let refused = failure(&to(host, "tls", mode, Some(authority))).await;
        assert!(matches!(refused, ConnectError::Tls(_)), "{mode:?} by {authority}: {refused:?}");
    }

    // What `openssl req -x509` makes: a server certificate that is its own authority.
    show_certificate(node, certificates, "self-signed");
    node.alter_system("log_statement", "none").unwrap();
    connect(&to("localhost", "tls", SslMode::VerifyFull, Some("self-signed.pem"))).await.unwrap();
    let refused = failure(&to("127.0.0.1", "tls", SslMode::VerifyFull, Some("self-signed.pem"))).await;
    assert!(matches!(refused, ConnectError::Tls(_)));

    node.alter_system("ssl", "off").unwrap();
    assert!(!connect(&to("localhost", "scram", SslMode::Prefer, None)).await.unwrap().stream.is_tls());
    let refused = failure(&to("localhost", "scram", SslMode::Require, None)).await;
    assert!(matches!(refused, ConnectError::TlsUnavailable));
}

async fn control_sessions_ask_and_listen(node: &PgNode) {
    let target = target("127.0.0.1", node.port, "postgres", None);
    let mut session = ControlSession::connect(&target).await.unwrap();
    assert_eq!(session.parameter("in_hot_standby"), Some("off"));

    let sets = session.query_each("SELECT 1, NULL, 't'::bool; SELECT generate_series(1, 3)").await.unwrap();
    assert_eq!((sets.len(), sets[1].len()), (2, 3));
    let row = &sets[0][0];
    assert_eq!((row.parse::<i32>(0), row.text(1), row.bool(2), row.text(3)), (Some(1), None, Some(true), None));

    let failed = session.query("SELECT 1/0").await.unwrap_err();
    assert!(matches!(failed, QueryError::Server(error) if error.message == "division by zero"));
    assert_eq!(session.query("SELECT repeat('x', 3000000)").await.unwrap()[0].text(0).unwrap().len(), 3_000_000);

    let mut other = ControlSession::connect(&target).await.unwrap();
    session.query("LISTEN here").await.unwrap();
    other.query("NOTIFY here, 'now'").await.unwrap();
    other.query("NOTIFY here, 'again'").await.unwrap();
    // What comes with an answer is not lost.
    session.query("SELECT 1").await.unwrap();
    for payload in ["now", "again"] {
        let heard = News::Notification { pid: other.pid(), channel: "here".into(), payload: payload.into() };
        assert_eq!(session.news().await.unwrap(), heard);
    }

    let (pid, key) = (session.pid(), session.key().to_vec());
    let (slept, cancelled) = tokio::join!(session.query("SELECT pg_sleep(60)"), async {
        let asleep = format!("SELECT 1 FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep'");
        while other.query(&asleep).await.unwrap().is_empty() {}
        cancel(&target, pid, &key).await
    });
    cancelled.unwrap();
    assert!(matches!(slept, Err(QueryError::Server(error)) if error.sqlstate == SqlState::QUERY_CANCELED));

    other.query(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
    let farewell = session.news().await.unwrap_err();
    assert!(matches!(farewell, QueryError::Server(error) if error.sqlstate == SqlState::ADMIN_SHUTDOWN));

    let abandoned = tokio::time::timeout(Duration::from_millis(20), other.query("SELECT pg_sleep(60)")).await;
    assert!(abandoned.is_err());
    assert!(matches!(other.query("SELECT 1").await, Err(QueryError::OutOfStep)));
}
