use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    task::JoinHandle,
};

use super::*;
use crate::{
    admin::fixture,
    net::stream::PeerAddr,
    operate::Command as Ordered,
    wire::{backend::error_field, frame, startup::ProtocolVersion},
    worker::Shared,
};

/// The other end of a console session.
struct Operator {
    stream: UnixStream,
    read: Vec<u8>,
    session: JoinHandle<()>,
}

/// A message as text: the tag, and what of the body tests look at.
fn words(tag: u8, body: &[u8]) -> String {
    let text = |body: &[u8]| String::from_utf8_lossy(body).replace('\0', " ").trim().to_owned();
    match tag {
        b'E' | b'N' => {
            let field = |kind| text(error_field(body, kind).unwrap_or_default());
            format!("{} {} {}", char::from(tag), field(b'C'), field(b'M'))
        }
        b'T' | b'D' => format!("{} {}", char::from(tag), u16::from_be_bytes([body[0], body[1]])),
        b'C' => format!("C {}", text(body)),
        tag => char::from(tag).to_string(),
    }
}

impl Operator {
    fn comes(shared: &Arc<Shared>, role: ConsoleRole) -> Self {
        let (client, server) = UnixStream::pair().unwrap();
        let worker = Rc::new(Worker::new(0, Arc::clone(shared)));
        let hello = ClientHello {
            stream: Stream::Unix(server),
            user: "root".into(),
            database: "howdah".into(),
            parameters: Vec::new(),
            protocol: ProtocolVersion { major: 3, minor: 0 },
            replication: false,
            address: PeerAddr::Unix,
            tls_subject: None,
            secret: None,
            console: Some(role),
            out: Vec::new(),
            unread: Vec::new(),
        };
        let session = tokio::task::spawn_local(crate::admin::serve(worker, hello));
        Self { stream: client, read: Vec::new(), session }
    }

    async fn send(&mut self, messages: &[(u8, &[u8])]) {
        let mut out = Vec::new();
        for (tag, body) in messages {
            frame::put(&mut out, *tag, |out| out.extend_from_slice(body));
        }
        self.stream.write_all(&out).await.unwrap();
    }

    async fn query(&mut self, sql: &str) -> Vec<String> {
        self.send(&[(b'Q', format!("{sql}\0").as_bytes())]).await;
        self.answer().await
    }

    /// The next message; `None` at the end.
    async fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(header) = frame::header(&self.read).unwrap()
                && self.read.len() >= header.total
            {
                let message: Vec<u8> = self.read.drain(..header.total).collect();
                return Some((header.tag, message[5..].to_vec()));
            }
            // Whoever closes with our bytes unread resets the connection.
            if self.stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Everything up to the next ReadyForQuery or the end.
    async fn answer(&mut self) -> Vec<String> {
        let mut answer = Vec::new();
        while let Some((tag, body)) = self.message().await {
            answer.push(words(tag, &body));
            if tag == b'Z' {
                break;
            }
        }
        answer
    }

    /// Comes and reads the welcome.
    async fn welcomed(shared: &Arc<Shared>, role: ConsoleRole) -> Self {
        let mut operator = Self::comes(shared, role);
        assert_eq!(operator.answer().await.last().unwrap(), "Z");
        operator
    }
}

/// Sessions live on one thread.
async fn on_a_worker(test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn queries_are_answered_one_by_one_up_to_the_first_error() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        assert_eq!(operator.query("SHOW VERSION").await, ["T 1", "D 1", "C SHOW", "Z"]);
        assert_eq!(operator.query("SELECT 1; SHOW STATE;").await[..3], ["T 1", "D 1", "C SELECT 1"]);
        assert_eq!(operator.query(" ; ").await, ["I", "Z"]);
        assert_eq!(operator.query("SET application_name = 'x'").await, ["C SET", "Z"]);
        let answer = operator.query("SHOW VERSION; FLY; SHOW VERSION").await;
        assert_eq!(answer, ["T 1", "D 1", "C SHOW", "E 42601 invalid command 'FLY', use SHOW HELP", "Z"]);
        assert_eq!(operator.query("SHOW HELP").await, ["N 00000 Console usage", "C SHOW", "Z"]);
        let refused = operator.query("SET default_pool_size = 5").await;
        assert_eq!(refused[0], "E 0A000 \"default_pool_size\" is set in the configuration, not on the console");
    })
    .await;
}

#[tokio::test]
async fn the_extended_protocol_knows_columns_before_it_runs() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        operator.send(&[(b'P', b"s\0SHOW STATE\0\0\0"), (b'D', b"Ss\0"), (b'S', b"")]).await;
        assert_eq!(operator.answer().await, ["1", "t", "T 2", "Z"]);
        let bind: (u8, &[u8]) = (b'B', b"\0s\0\0\0\0\0\0\0");
        operator.send(&[bind, (b'D', b"P\0"), (b'E', b"\0\0\0\0\x03"), (b'E', b"\0\0\0\0\0"), (b'S', b"")]).await;
        assert_eq!(operator.answer().await, ["2", "T 2", "D 2", "D 2", "D 2", "s", "D 2", "C SHOW", "Z"]);
        operator.send(&[(b'P', b"\0RELOAD\0\0\0"), (b'D', b"S\0"), (b'C', b"Ss\0"), (b'S', b"")]).await;
        assert_eq!(operator.answer().await, ["1", "t", "n", "3", "Z"]);
        operator.send(&[(b'P', b"\0;\0\0\0"), (b'B', b"\0\0\0\0\0\0\0\0"), (b'E', b"\0\0\0\0\0"), (b'S', b"")]).await;
        assert_eq!(operator.answer().await, ["1", "2", "I", "Z"]);
    })
    .await;
}

#[tokio::test]
async fn after_an_error_nothing_counts_until_the_sync() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        let bind: (u8, &[u8]) = (b'B', b"\0no\0\0\0\0\0\0\0");
        operator.send(&[bind, (b'E', b"\0\0\0\0\0"), (b'Q', b"SHOW STATE\0"), (b'S', b"")]).await;
        assert_eq!(operator.answer().await, ["E 26000 prepared statement \"no\" does not exist", "Z"]);
        operator.send(&[(b'P', b"\0SHOW $1\0\0\0"), (b'S', b"")]).await;
        assert_eq!(operator.answer().await, ["E 0A000 the console takes no parameters ($n)", "Z"]);
        operator.send(&[(b'B', b"\0"), (b'S', b"")]).await;
        assert_eq!(operator.answer().await, ["E 08P01 invalid Bind message", "Z"]);
    })
    .await;
}

#[tokio::test]
async fn who_may_only_look_changes_nothing() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Stats).await;
        assert_eq!(operator.query("SHOW POOLS").await, ["T 19", "C SHOW", "Z"]);
        for command in ["RELOAD", "PAUSE", "KILL", "SHUTDOWN", "ROLLBACK", "DETACH NODE n1", "EXPLAIN ROUTE SELECT 1"] {
            assert_eq!(operator.query(command).await, ["E 42501 admin access needed", "Z"], "{command}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_refused_configuration_is_told_in_full() {
    on_a_worker(async {
        let (shared, mut commands) = fixture::shared();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        operator.send(&[(b'Q', b"RELOAD\0")]).await;
        let Some(Ordered::Reload { answer, .. }) = commands.recv().await else { panic!("RELOAD arrives") };
        answer.send(Err("f:1:2: unknown key\nf:2:1: not a number".into())).unwrap();
        let (tag, body) = operator.message().await.unwrap();
        assert_eq!(words(tag, &body), "E F0000 RELOAD failed: f:1:2: unknown key");
        assert_eq!(error_field(&body, b'D'), Some(b"f:2:1: not a number".as_slice()));
        assert_eq!(operator.answer().await, ["Z"]);
    })
    .await;
}

#[tokio::test]
async fn a_wait_ends_with_a_cancel_request_and_takes_the_pause_back() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        let set = fixture::pools(&shared, "app", "alice");
        // A place in the pool that is never given back: a server that a client keeps.
        set.pools[0].pretend_open();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        let info = shared.clients.list().pop().unwrap();
        operator.send(&[(b'Q', b"PAUSE app\0")]).await;
        while !shared.registry.pauses("app") {
            tokio::task::yield_now().await;
        }
        info.order(Order::Query);
        assert_eq!(operator.answer().await, ["E 57014 canceling statement due to user request", "Z"]);
        assert!(!shared.registry.pauses("app"));
        assert_eq!(operator.query("SHOW VERSION").await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_wait_ends_when_the_operator_goes_away() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        fixture::pools(&shared, "app", "alice").pools[0].pretend_open();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        operator.send(&[(b'Q', b"PAUSE\0")]).await;
        while !shared.registry.is_paused() {
            tokio::task::yield_now().await;
        }
        drop(operator.stream);
        tokio::time::timeout(Duration::from_secs(10), operator.session).await.unwrap().unwrap();
        assert!(shared.clients.list().is_empty());
    })
    .await;
}

#[tokio::test]
async fn pauses_resumes_and_kills_answer_as_pgbouncer_does() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        fixture::pools(&shared, "app", "alice");
        let client = fixture::client(&shared, "app", "alice");
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        let cases = [
            ("RESUME", "E 55000 pooler is not paused/suspended"),
            ("PAUSE app", "C PAUSE"),
            ("RESUME app", "C RESUME"),
            ("RESUME app", "E 55000 database app is not paused"),
            ("PAUSE", "C PAUSE"),
            ("PAUSE app", "E 55000 already suspended/paused"),
            ("KILL", "E 55000 already suspended/paused"),
            ("RESUME", "C RESUME"),
            ("RECONNECT app", "C RECONNECT"),
            ("WAIT_CLOSE app", "C WAIT_CLOSE"),
            ("DISABLE app", "C DISABLE"),
            ("ENABLE app", "C ENABLE"),
            ("PAUSE pgbouncer", "E 3D000 no such database: pgbouncer"),
            ("SUSPEND", "E 0A000 SUSPEND is not supported"),
            ("SHOW FDS", "E 0A000 SHOW FDS is not supported"),
            ("BEGIN", "E 0A000 BEGIN: the console has no transactions"),
            ("KILL_CLIENT 0", "E 42704 client not found"),
            ("KILL app", "C KILL"),
            ("RESUME app", "C RESUME"),
        ];
        for (command, wanted) in cases {
            assert_eq!(operator.query(command).await[0], wanted, "{command}");
        }
        assert_eq!(client.ordered(), Order::Kill);
    })
    .await;
}

#[tokio::test]
async fn a_console_that_is_killed_hears_it() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        shared.clients.list()[0].order(Order::Kill);
        assert_eq!(operator.answer().await, ["E 57P01 terminating connection: an administrator asked for it"]);
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        shared.shutdown.advance(Phase::Leaving);
        assert_eq!(operator.query("SHOW VERSION").await.len(), 4, "operators are served to the end");
        shared.shutdown.advance(Phase::Now);
        assert_eq!(operator.answer().await, ["E 57P01 terminating connection: the proxy is shutting down"]);
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_is_answered_before_it_begins() {
    on_a_worker(async {
        let (shared, mut commands) = fixture::shared();
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        assert_eq!(operator.query("SHUTDOWN WAIT_FOR_SERVERS").await, ["C SHUTDOWN", "Z"]);
        let ordered = commands.recv().await.unwrap();
        assert!(matches!(ordered, Ordered::ShutDown { ending: Ending::TransactionsOver }));
    })
    .await;
}

#[tokio::test]
async fn whatever_comes_is_answered_or_ends_the_session() {
    on_a_worker(async {
        let (shared, _commands) = fixture::shared();
        let long = vec![b'x'; MESSAGE_MAX_BYTES + 1];
        let fatal: [(u8, &[u8]); 2] = [(b'?', b""), (b'Q', &long)];
        for (tag, body) in fatal {
            let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
            operator.send(&[(tag, body)]).await;
            let answer = operator.answer().await;
            assert!(answer[0].starts_with("E 08P01 "), "{answer:?}");
        }
        let mut operator = Operator::welcomed(&shared, ConsoleRole::Admin).await;
        let odd: [(u8, &[u8]); 5] = [(b'P', b"x"), (b'D', b""), (b'E', b"\0"), (b'C', b"Q\0"), (b'd', b"?")];
        for (tag, body) in odd {
            operator.send(&[(tag, body), (b'S', b"")]).await;
            assert_eq!(operator.answer().await.last().unwrap(), "Z");
        }
    })
    .await;
}
