//! Real clients get in in every way we ask, and nobody else does.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, task::Poll, time::Duration};

use howdah::{
    client::Refusal,
    config::{AuthType, SslMode},
    net::{
        messages::{Inbox, send},
        stream::Stream,
        tls::{Acceptor, Connector},
    },
    server::{ConnectError, ServerTarget, simple::ControlSession},
    wire::{ask, sqlstate::SqlState, startup},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{certificates::Certificates, door::Door, plain, target};

/// What the door says about a client, or why it stays shut.
async fn knock(target: &ServerTarget) -> Result<String, ConnectError> {
    let mut session = ControlSession::connect(target).await?;
    assert_eq!((session.pid(), session.key()), (7, &[5; 4][..]), "a client of protocol 3.0 gets four bytes");
    Ok(session.query("?").await.unwrap()[0].text(0).unwrap().to_owned())
}

#[tokio::test]
async fn clients_get_in_with_the_right_password_and_nobody_learns_who_exists() {
    for auth_type in [AuthType::Password, AuthType::Md5, AuthType::ScramSha256] {
        let port = Door::new(auth_type).open().await;
        for user in ["alice", "bob"] {
            let about = knock(&target("127.0.0.1", port, user, plain("pencil"))).await.unwrap();
            let proven = if user == "alice" || auth_type == AuthType::Password { "plain" } else { "keys" };
            assert!(about.starts_with(&format!("{user} postgres clear {proven}")), "{auth_type:?}: {about}");
        }
        let carol = knock(&target("127.0.0.1", port, "carol", plain("pencil"))).await;
        match auth_type {
            AuthType::Password => assert!(carol.unwrap().contains("clear plain")),
            AuthType::Md5 => assert!(carol.unwrap().contains("clear md5")),
            _ => assert!(carol.is_err(), "an MD5 secret is nothing to SCRAM"),
        }
        for (user, password) in [("alice", "pencils"), ("bob", ""), ("nobody", "pencil"), ("empty", "")] {
            let refused = knock(&target("127.0.0.1", port, user, plain(password))).await.unwrap_err();
            let told = refused.server_message().unwrap();
            assert_eq!(told.message, format!("password authentication failed for user \"{user}\""), "{auth_type:?}");
            assert_eq!((told.severity.as_str(), told.sqlstate), ("FATAL", SqlState::INVALID_PASSWORD));
        }
    }
}

#[tokio::test]
async fn trust_asks_for_nothing_but_a_known_name() {
    let known = Door::new(AuthType::Trust).open().await;
    assert!(knock(&target("127.0.0.1", known, "alice", None)).await.unwrap().contains("clear plain"));
    let refused = knock(&target("127.0.0.1", known, "nobody", None)).await.unwrap_err();
    assert_eq!(refused.server_message().unwrap().message, "no such user: nobody");

    let anybody = Door { secrets: None, ..Door::new(AuthType::Trust) }.open().await;
    assert!(knock(&target("127.0.0.1", anybody, "nobody", None)).await.unwrap().contains("clear none"));

    let console = |user: &str| ServerTarget { database: "howdah".into(), ..target("127.0.0.1", known, user, None) };
    knock(&console("root")).await.expect("the console's users need not be in the auth_file");
    let refused = knock(&console("bob")).await.unwrap_err();
    assert_eq!(refused.sqlstate(), Some(SqlState::INSUFFICIENT_PRIVILEGE));
}

#[tokio::test]
async fn a_full_house_says_so_and_still_opens_to_its_keepers() {
    let refusal = Refusal { sqlstate: SqlState::TOO_MANY_CONNECTIONS, message: "no more connections allowed".into() };
    let port = Door { refusal: Some(refusal), ..Door::new(AuthType::Trust) }.open().await;

    assert!(knock(&target("127.0.0.1", port, "alice", None)).await.unwrap_err().is_full());
    let console = ServerTarget { database: "pgbouncer".into(), ..target("127.0.0.1", port, "alice", None) };
    knock(&console).await.unwrap();
}

#[tokio::test]
async fn psql_gets_in_with_and_without_tls_and_binds_its_password_to_the_certificate() {
    let certificates = Certificates::make("psql");
    let acceptor = |mode, authority| Acceptor::load(&certificates.tls(mode, Some("localhost"), authority)).unwrap();
    let prefer = Door { tls: acceptor(SslMode::Prefer, None), ..Door::new(AuthType::ScramSha256) }.open().await;
    let require = Door { tls: acceptor(SslMode::Require, None), ..Door::new(AuthType::Md5) }.open().await;
    let verify = Door { tls: acceptor(SslMode::VerifyFull, Some("ca.pem")), ..Door::new(AuthType::Trust) }.open().await;
    let ca = format!("sslmode=verify-full sslrootcert={}", certificates.file("ca.pem").display());
    let own = format!(
        "{ca} sslcert={} sslkey={}",
        certificates.file("client.pem").display(),
        certificates.file("client.key").display()
    );
    fs::set_permissions(certificates.file("client.key"), fs::Permissions::from_mode(0o600)).unwrap();

    for (port, options, told) in [
        (prefer, "sslmode=disable", "alice postgres clear plain None"),
        (prefer, &format!("{ca} channel_binding=require"), "alice postgres tls plain None"),
        (prefer, "sslmode=require channel_binding=disable options='-c work_mem=1MB'", r#"("work_mem", "1MB")"#),
        (require, "sslmode=disable", "FATAL:  SSL required"),
        (require, "sslmode=prefer", "alice postgres tls plain None"),
        (verify, &own, r#"alice postgres tls plain Some("CN=alice")"#),
        (verify, &ca, "certificate required"),
    ] {
        let said = psql(port, options).await;
        assert!(said.contains(told), "{options}: {said}");
    }
}

async fn psql(port: u16, options: &str) -> String {
    let connection = format!("host=localhost port={port} user=alice dbname=postgres {options}");
    let run = move || {
        let mut command = Command::new("psql");
        command.args(["--no-psqlrc", "-At", "-c", "?", &connection]).env("PGPASSWORD", "pencil").output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn tls_may_start_without_asking_when_the_protocol_is_named() {
    let certificates = Certificates::make("direct");
    let tls = Acceptor::load(&certificates.tls(SslMode::Require, Some("localhost"), None)).unwrap();
    let port = Door { tls, ..Door::new(AuthType::Trust) }.open().await;
    let connector = Connector::load(&certificates.tls(SslMode::VerifyFull, None, Some("ca.pem"))).unwrap().unwrap();

    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut stream = connector.connect(Stream::Tcp(tcp).into_plain().unwrap(), "localhost").await.unwrap();
    let mut out = Vec::new();
    ask::startup(&mut out, startup::NEWEST, [("user", "alice")]);
    send(&mut stream, &mut out).await.unwrap();
    let mut inbox = Inbox::default();
    assert_eq!(inbox.message(&mut stream, 100).await.unwrap().tag, b'R');
    assert_eq!(inbox.message(&mut stream, 100).await.unwrap().tag, b'S');
    let key = inbox.message(&mut stream, 100).await.unwrap();
    assert_eq!((key.tag, key.body.len()), (b'K', 36), "a client of protocol 3.2 gets the whole key");

    // The session survives the move to another runtime's hands.
    assert_eq!(inbox.message(&mut stream, 100).await.unwrap().tag, b'Z');
    let mut stream = Stream::attach(stream.detach().unwrap()).unwrap();
    ask::query(&mut out, "?");
    send(&mut stream, &mut out).await.unwrap();
    let mut tag = [0];
    stream.read_exact(&mut tag).await.unwrap();
    assert_eq!(&tag, b"T");
    let ready = std::future::poll_fn(|cx| Poll::Ready(stream.poll_read_ready(cx))).await;
    assert!(ready.is_ready(), "the rest is decrypted and waits in the session, not in the socket");
}

#[tokio::test]
async fn garbage_and_silence_get_an_answer_or_a_close() {
    let port = Door::new(AuthType::ScramSha256).open().await;
    let long = [&[0, 0, 1, 0, 0, 3, 0, 0][..], &[b'x'; 248]].concat();
    for (bytes, told) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "08P01"),
        (b"\0\0\0\x08\0\x02\0\0", "0A000"),
        (b"\0\0\0\x09\0\x03\0\0\0", "28000"),
        (&long, "08P01"),
        (b"\0\0\0\x14\0\x03\0\0user\0alice\0\0Q\0\0\0\x05\0", "08P01"),
        (b"\0\0\0\x14\0\x03\0\0user\0alice\0\0p\x7f\xff\xff\xff", "08P01"),
        (b"\0\0\0\x14\0\x03\0\0user\0alice\0\0p\0\0\0\x06ab", "08P01"),
        (b"\x16\x03\x01", ""),
        (b"\0\0\0\x08", ""),
    ] {
        let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        tcp.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = tcp.read_to_end(&mut answer).await;
        assert!(String::from_utf8_lossy(&answer).contains(told), "{bytes:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_client_that_takes_too_long_is_told_so() {
    let login_timeout = Duration::from_millis(50);
    let port = Door { login_timeout, ..Door::new(AuthType::Md5) }.open().await;
    for begun in [&b""[..], b"\0\0", b"\0\0\0\x14\0\x03\0\0user\0alice\0\0"] {
        let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        tcp.write_all(begun).await.unwrap();
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("client_login_timeout"), "{begun:?}");
    }
}
