//! The way in alone: greets clients as the proxy does, and has nothing behind it.

use std::{sync::Arc, time::Duration};

use howdah::{
    auth::{Secret, Secrets, keys},
    client::{
        Greeted, HandshakeContext, Refusal,
        greet::{parameter_messages, welcome},
        handshake,
    },
    config::{AuthType, Hba},
    net::{
        messages::{Inbox, send},
        stream::Stream,
        tls::Acceptor,
    },
    wire::reply::{self, TxStatus},
};
use tokio::net::TcpListener;

/// What a small proxy in front of nothing is set up with.
pub struct Door {
    pub auth_type: AuthType,
    pub secrets: Option<Secrets>,
    pub tls: Option<Acceptor>,
    pub refusal: Option<Refusal>,
    pub login_timeout: Duration,
}

impl Door {
    /// Users with every kind of secret, all of them `pencil`.
    pub fn new(auth_type: AuthType) -> Self {
        let verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
            WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        let users =
            [("alice", "pencil"), ("bob", verifier), ("carol", "md5bd9b2f028f0da30651d603cf780feee9"), ("empty", "")];
        let secrets = users.iter().map(|(user, secret)| (user, secret)).collect();
        Self { auth_type, secrets: Some(secrets), tls: None, refusal: None, login_timeout: Duration::from_secs(5) }
    }

    /// Opens on a free port. Answers every query of those who get in with one row about them.
    pub async fn open(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let door = Arc::new(self);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&door), Stream::Tcp(tcp)));
            }
        });
        port
    }
}

async fn serve(door: Arc<Door>, stream: Stream) {
    let context = HandshakeContext {
        auth_type: door.auth_type,
        hba: &Hba::default(),
        secrets: door.secrets.as_ref(),
        lookup: None,
        admin_users: &["root".to_owned()],
        stats_users: &["alice".to_owned()],
        ignored: &[],
        tls: door.tls.as_ref(),
        login_timeout: door.login_timeout,
        refusal: door.refusal.as_ref(),
    };
    let Ok(Greeted::Client(hello)) = handshake(stream, &context).await else { return };
    let mut hello = *hello;
    let parameters = parameter_messages(&[("server_version".into(), "17.0".into())]);
    welcome(&mut hello.out, &parameters, 7, &[5; 32], hello.protocol);
    let kind = match hello.secret {
        None => "none",
        Some(Secret::Plain(_)) => "plain",
        Some(Secret::Md5(_)) => "md5",
        Some(Secret::Scram(verifier)) if keys::shown(&hello.user, &verifier).is_some() => "keys",
        Some(Secret::Scram(_)) => "scram",
    };
    let about = format!(
        "{} {} {} {kind} {:?} {:?}",
        hello.user,
        hello.database,
        if hello.stream.is_tls() { "tls" } else { "clear" },
        hello.tls_subject.as_deref(),
        hello.parameters,
    );
    let mut inbox = Inbox::new(hello.unread);
    loop {
        if send(&mut hello.stream, &mut hello.out).await.is_err() {
            return;
        }
        match inbox.message(&mut hello.stream, 10_000).await {
            Ok(message) if message.tag == b'Q' => {
                reply::row_description(&mut hello.out, &[("about", reply::TEXT_OID)]);
                reply::data_row(&mut hello.out, &[Some(about.as_bytes())]);
                reply::command_complete(&mut hello.out, "SELECT 1");
                reply::ready_for_query(&mut hello.out, TxStatus::Idle);
            }
            _ => return,
        }
    }
}
