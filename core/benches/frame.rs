//! What finding messages in bytes costs: where a client's request ends, and the walk over a server's
//! answer.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::{
    hint::black_box,
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Duration,
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use howdah::{
    id::PoolKey,
    net::stream::SocketOptions,
    server::{self, Opening, Server, ServerTarget, ServerTls},
    session::{
        prepared::PreparedStatements,
        relay::{Care, Exchange},
        unit::{first_unit, messages},
    },
    wire::frame,
};

/// An answer as long as a few reads of pgbench would make it.
const ROWS_BYTES: usize = 16 * 1024;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put(&mut out, tag, |out| out.extend_from_slice(body));
    out
}

fn simple() -> Vec<u8> {
    message(b'Q', b"SELECT abalance FROM pgbench_accounts WHERE aid = 4711;\0")
}

/// Bind, Describe, Execute, Sync, as drivers send them for a statement that is prepared.
fn batch() -> Vec<u8> {
    let bind = message(b'B', b"\0P0_1\0\0\0\0\x01\0\0\0\x044711\0\0");
    [bind, message(b'D', b"P\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat()
}

/// DataRows of two columns up to the size, then the end of the answer.
fn rows() -> Vec<u8> {
    let row = message(b'D', b"\0\x02\0\0\0\x08\0\0\0\0\0\0\0\x01\0\0\0\x18twenty-four bytes of text");
    let mut answer = row.repeat(ROWS_BYTES / row.len());
    answer.extend(message(b'C', b"SELECT 341\0"));
    answer.extend(message(b'Z', b"I"));
    answer
}

/// A server whose node is a thread of this bench.
fn opened() -> Box<Server> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let welcome = [message(b'R', &[0; 4]), message(b'K', &[1; 8]), message(b'Z', b"I")].concat();
        let done = [message(b'C', b"SHOW\0"), message(b'Z', b"I")].concat();
        let mut answer = &welcome;
        while stream.read(&mut request).is_ok_and(|n| n > 0) {
            stream.write_all(answer).unwrap();
            answer = &done;
        }
    });
    let target = ServerTarget {
        node: "n0".into(),
        host: "127.0.0.1".into(),
        port,
        user: "u".into(),
        database: "d".into(),
        secret: None,
        tls: ServerTls::DISABLED,
        connect_timeout: Duration::from_secs(5),
        socket: SocketOptions::default(),
        parameters: [].into(),
    };
    let opening = Opening {
        pool: PoolKey { database: "d".into(), user: "u".into(), node: "n0".into() },
        target: Arc::new(target),
        place: Box::new(()),
        age: 0,
        worker: 0,
        connect_query: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(server::open(opening)).unwrap();
    // The socket needs its runtime to the end.
    std::mem::forget(runtime);
    server
}

fn requests(criterion: &mut Criterion) {
    for (name, bytes) in [("simple", simple()), ("batch", batch())] {
        criterion.bench_function(&format!("frame/unit/{name}"), |b| b.iter(|| first_unit(black_box(&bytes)).unwrap()));
        criterion.bench_function(&format!("frame/messages/{name}"), |b| {
            b.iter(|| messages(black_box(&bytes)).map(|(tag, body, _)| usize::from(tag) + body.len()).sum::<usize>());
        });
    }
}

fn answers(criterion: &mut Criterion) {
    let (mut server, rows) = (opened(), rows());
    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Bytes(rows.len() as u64));
    group.bench_function("scan/rows", |b| {
        let read = || {
            let mut exchange = Exchange::default();
            exchange.begin(Care::Once);
            exchange.to_client.extend(&rows);
            exchange
        };
        // One at a time: what was read just now is in the processor's cache.
        b.iter_batched_ref(
            read,
            |exchange| exchange.scan(&mut server, &PreparedStatements::default()).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, requests, answers);
criterion_main!(benches);
