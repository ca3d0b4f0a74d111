//! Logging in: ours to servers, clients' to us, with and without TLS.

use std::{sync::Arc, time::Duration};

use howdah::{
    auth::Secret,
    config::{SslMode, Tls},
    net::{
        stream::SocketOptions,
        tls::{Acceptor, TlsError},
    },
    server::{ServerTarget, ServerTls},
};

use self::certificates::Certificates;

pub mod certificates;
mod clients;
mod door;
mod servers;

fn target(host: &str, port: u16, user: &str, secret: Option<Secret>) -> ServerTarget {
    ServerTarget {
        node: "n0".into(),
        host: host.into(),
        port,
        user: user.into(),
        database: "postgres".into(),
        secret,
        tls: ServerTls::DISABLED,
        connect_timeout: Duration::from_secs(20),
        socket: SocketOptions { keepalive: true, user_timeout: Some(Duration::from_secs(5)), ..Default::default() },
        parameters: Arc::new([("application_name".to_owned(), "login test".to_owned())]),
    }
}

fn plain(password: &str) -> Option<Secret> {
    Some(Secret::Plain(password.into()))
}

#[test]
fn tls_settings_that_cannot_work_name_the_file() {
    let certificates = Certificates::make("settings");
    let load = |tls: Tls| Acceptor::load(&tls).expect_err("these settings cannot work");
    let missing = load(certificates.tls(SslMode::Require, None, None));
    assert!(matches!(missing, TlsError::Missing { key: "cert_file", .. }), "{missing}");
    let absent = load(certificates.tls(SslMode::Require, Some("absent"), None));
    assert!(absent.to_string().contains("absent.pem"), "{absent}");
    let mismatch = Tls {
        key_file: Some(certificates.file("client.key")),
        ..certificates.tls(SslMode::Require, Some("localhost"), None)
    };
    assert!(load(mismatch).to_string().contains("localhost.pem"));
    certificates.write("empty.pem", "nothing\n");
    let empty = load(certificates.tls(SslMode::VerifyCa, Some("localhost"), Some("empty.pem")));
    assert!(empty.to_string().contains("empty.pem contains no certificate"), "{empty}");
    assert!(Acceptor::load(&certificates.tls(SslMode::Disable, None, None)).unwrap().is_none());
}
