//! Whatever is sent to the port, the proxy answers with an error or closes, and serves on.

use std::{
    thread,
    time::{Duration, Instant},
};

use howdah_tests::{
    Proxy,
    raw::{Raw, bind, execute, message, query, startup, sync, tags},
    shared_cluster,
};

const BAD_CLIENTS: u64 = 2_000;

/// Those that come before we measure memory.
const FIRST_BAD_CLIENTS: u64 = 200;

const GROWTH_MAX_KIB: u64 = 50 * 1024;

/// Deterministic noise (Knuth's MMIX generator).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap() % limit
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[test]
fn garbage_gets_an_error_or_a_close_and_the_proxy_serves_on() {
    let proxy = Proxy::start(shared_cluster(), |config| {
        let config = config.set("pool_mode", "\"transaction\"").set("max_client_conn", "1000");
        config.set("client_login_timeout", "2")
    });
    let mut noise = Noise(4711);
    (0..FIRST_BAD_CLIENTS).for_each(|number| misbehave(&proxy, &mut noise, number));
    let before = proxy.resident_kib();

    (0..BAD_CLIENTS).for_each(|number| misbehave(&proxy, &mut noise, number));

    let grown = proxy.resident_kib().saturating_sub(before);
    println!("{grown} KiB more after {BAD_CLIENTS} bad clients");
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB");
    assert_eq!(tags(&Raw::login(proxy.port(), "postgres").query("SELECT 1")), "TDCZ");
    let panics: Vec<_> = proxy.log_lines().into_iter().filter(|line| line.contains("panicked")).collect();
    assert!(panics.is_empty(), "{panics:?}");
}

#[test]
fn what_the_protocol_forbids_is_named() {
    let proxy = Proxy::start(shared_cluster(), |config| config.set("pool_mode", "\"transaction\""));
    let version_4 = [0, 0, 0, 9, 0, 4, 0, 0, 0];
    let answer = complaint(Raw::open(proxy.port()), &version_4);
    assert!(["0A000", "08P01"].contains(&&*answer), "{answer}");
    for startup in [[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0], [0, 0, 0, 3, 0, 3, 0, 0]] {
        assert_eq!(complaint(Raw::open(proxy.port()), &startup), "08P01");
    }
    let login = || Raw::login(proxy.port(), "postgres");
    assert_eq!(complaint(login(), &message(b'!', b"what?")), "08P01");
    assert_eq!(complaint(login(), &[b'Q', 0, 0, 0, 3]), "08P01");
    assert_eq!(complaint(login(), &[b'Q', 0xff, 0xff, 0xff, 0xff]), "08P01");
}

#[test]
fn a_client_that_never_finishes_its_login_is_sent_away() {
    let proxy = Proxy::start(shared_cluster(), |config| config.set("client_login_timeout", "1"));
    let name = "x".repeat(5_000);
    let hello = startup(&[("user", "postgres"), ("database", "postgres"), ("application_name", name.as_str())]);
    let (port, begun) = (proxy.port(), Instant::now());

    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut slow = Raw::open(port);
                for byte in &hello {
                    if slow.send(&[*byte]).is_err() {
                        break;
                    }
                    assert!(begun.elapsed() < Duration::from_secs(15), "it may go on and on");
                    thread::sleep(Duration::from_millis(50));
                }
            });
            scope.spawn(|| {
                let mut silent = Raw::open(port);
                silent.send(&hello[..3]).unwrap();
                silent.drain();
                assert!(begun.elapsed() < Duration::from_secs(15), "silence is borne for ever");
            });
        }
        assert_eq!(tags(&Raw::login(proxy.port(), "postgres").query("SELECT 1")), "TDCZ");
    });
}

/// One client that does not behave; it comes back when the connection has been closed.
fn misbehave(proxy: &Proxy, noise: &mut Noise, number: u64) {
    let (mut client, bytes) = bad_client(proxy, noise, number % 12);
    // A proxy that has heard enough may have closed already.
    let _ = client.send(&bytes);
    client.end_sending();
    client.drain();
}

fn bad_client(proxy: &Proxy, noise: &mut Noise, kind: u64) -> (Raw, Vec<u8>) {
    let hello = startup(&[("user", "postgres"), ("database", "postgres")]);
    let size = noise.below(300) + 1;
    let stranger = || Raw::open(proxy.port());
    let guest = || Raw::login(proxy.port(), "postgres");
    match kind {
        0 => (stranger(), noise.bytes(size)),
        1 => (stranger(), hello[..noise.below(hello.len())].to_vec()),
        2 => (stranger(), [&[0x7f, 0xff, 0xff, 0xff][..], &hello[4..]].concat()),
        3 => (stranger(), [&[0, 0, 0, 7][..], &noise.bytes(size)[..]].concat()),
        4 => (stranger(), [&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f][..], &noise.bytes(size)[..]].concat()),
        5 => (stranger(), [&[0, 0, 0, 16, 4, 0xd2, 0x16, 0x2e][..], &noise.bytes(8)[..]].concat()),
        6 => (stranger(), [hello, noise.bytes(size)].concat()),
        7 => (guest(), noise.bytes(size)),
        8 => (guest(), [execute(), bind("nobody", &["x"]), sync(), message(b'p', b"secret\0")].concat()),
        9 => (guest(), [&[b'Q', 0x3f, 0xff, 0xff, 0xff][..], &noise.bytes(size)[..]].concat()),
        10 => {
            (guest(), [message(b'd', b"row"), message(b'c', b""), message(b'B', &noise.bytes(size)), sync()].concat())
        }
        _ => (guest(), [query("COPY nowhere FROM STDIN"), message(b'P', &noise.bytes(size)), query("SELECT")].concat()),
    }
}

/// Sends bytes; the SQLSTATE of the one message that must come before the end.
fn complaint(mut client: Raw, bytes: &[u8]) -> String {
    client.send(bytes).unwrap();
    let answer = client.until_end();
    assert_eq!(tags(&answer), "E", "to {bytes:?}: {answer:?}");
    answer[0].sqlstate()
}
