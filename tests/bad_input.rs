//! What is wrong, too much or never ends gets PostgreSQL's error or a limit's, costs bounded memory, and is
//! nobody else's trouble.

use howdah::demo::ProxyConfig;
use howdah_tests::{
    Proxy, fresh_database,
    raw::{
        Message, Raw, bind, close, copy_data, copy_done, describe, execute, message, parse, query, startup, sync, tags,
    },
    shared_cluster,
};

const MIB: usize = 1 << 20;

fn proxy(servers: usize) -> Proxy {
    Proxy::start(shared_cluster(), |config: ProxyConfig| {
        let config = config.without_router().set("pool_mode", "\"transaction\"").set("max_client_conn", "1000");
        let config = config.set("log_connections", "false").set("query_wait_timeout", "10");
        config.set("default_pool_size", &servers.to_string())
    })
}

/// Clients beside the bad one are served.
fn serves(proxy: &Proxy) {
    assert_eq!(tags(&Raw::login(proxy.port(), "postgres").query("SELECT 1")), "TDCZ");
}

fn grown_mib(proxy: &Proxy, before_kib: u64) -> usize {
    usize::try_from(proxy.resident_kib().saturating_sub(before_kib)).unwrap() / 1024
}

/// Type, SQLSTATE, severity and text of each message: what clients see.
fn seen(answer: &[Message]) -> Vec<String> {
    let words = |message: &Message| match message.tag {
        'E' | 'N' => format!("{} {} {}", message.field(b'S'), message.sqlstate(), message.text()),
        'D' => message.value(),
        'Z' => String::from_utf8_lossy(&message.body).into_owned(),
        tag => tag.into(),
    };
    answer.iter().map(words).collect()
}

#[test]
fn a_setting_that_does_not_exist_gets_postgresqls_error() {
    let (proxy, direct) = (proxy(1), shared_cluster().primary().port);
    let (mut through, mut straight) = (Raw::login(proxy.port(), "postgres"), Raw::login(direct, "postgres"));
    let by_batch = |sql: &str| [parse("", sql), bind("", &[]), execute(), sync()].concat();
    for request in [
        query("SET nonsense = 1"),
        query("SET LOCAL nonsense = 1"),
        query("SHOW nonsense"),
        query("RESET nonsense"),
        query("SELECT set_config('nonsense', '1', false)"),
        query("SELECT current_setting('nonsense')"),
        query("SET work_mem = 'banana'"),
        query("SET TimeZone = 'Mars/Olympus_Mons'"),
        query("SET work_mem = '3MB'; SET nonsense = 1"),
        query("SET \"no.such name\" = 1"),
        by_batch("SET nonsense = 1"),
        by_batch("SET work_mem = '-5'"),
        query("BEGIN; SET work_mem = '3MB'; SET nonsense = 1"),
        query("ROLLBACK"),
        query("SHOW work_mem"),
    ] {
        straight.send(&request).unwrap();
        through.send(&request).unwrap();
        assert_eq!(seen(&through.until_ready()), seen(&straight.until_ready()), "{}", request.escape_ascii());
    }
    serves(&proxy);
}

#[test]
fn a_login_with_a_setting_that_does_not_exist_gets_postgresqls_error() {
    let (proxy, direct) = (proxy(1), shared_cluster().primary().port);
    for (name, value) in [
        ("nonsense", "1"),
        ("work_mem", "banana"),
        ("TimeZone", "Mars/Olympus_Mons"),
        ("options", "-c nonsense=1"),
        ("options", "--work-mem=banana"),
        ("client_encoding", "EBCDIC"),
        ("shared_buffers", "1GB"),
    ] {
        let parameters = [("user", "postgres"), ("database", "postgres"), (name, value)];
        let (_, told) = Raw::greet(proxy.port(), &parameters);
        let (_, expected) = Raw::greet(direct, &parameters);
        let complaint = |welcome: &[Message]| seen(welcome).into_iter().find(|words| words.starts_with("FATAL"));
        assert!(complaint(&expected).is_some(), "{name}={value} is welcome");
        assert_eq!(complaint(&told), complaint(&expected), "{name}={value}");
        serves(&proxy);
    }
    // What is no setting is refused by words of our own.
    let parameters = [("user", "postgres"), ("database", "postgres"), ("options", "-c")];
    assert_eq!(Raw::greet(proxy.port(), &parameters).1[0].sqlstate(), "42601");
}

#[test]
fn a_long_statement_is_carried_without_being_kept() {
    let proxy = proxy(2);
    let mut client = Raw::login(proxy.port(), "postgres");
    assert_eq!(tags(&client.query("SELECT 1")), "TDCZ");
    let before = proxy.resident_kib();
    let long = "x".repeat(48 * MIB);

    let answer = client.query(&format!("SELECT length('{long}')"));
    assert_eq!(answer[1].value(), long.len().to_string());
    let grown = grown_mib(&proxy, before);
    assert!(grown < 16, "{grown} MiB");

    // As a parameter too.
    client.send(&[parse("", "SELECT length($1)"), bind("", &[&long]), execute(), sync()].concat()).unwrap();
    assert_eq!(client.until_ready()[2].value(), long.len().to_string());
    let grown = grown_mib(&proxy, before);
    assert!(grown < 16, "{grown} MiB");
}

/// A statement to prepare must be kept whole, because other servers may need it; so there is a limit.
#[test]
fn a_statement_too_large_to_prepare_is_refused_by_name() {
    let proxy = proxy(2);
    let mut client = Raw::login(proxy.port(), "postgres");
    let before = proxy.resident_kib();
    let long = format!("SELECT length('{}')", "x".repeat(80 * MIB));

    // It may be refused before all of it has been sent.
    let _ = client.send(&[parse("large", &long), bind("large", &[]), execute(), sync()].concat());
    let answer = client.until_ready();

    let complaint = answer.iter().find(|message| message.tag == 'E').unwrap();
    assert_eq!(complaint.sqlstate(), "54000", "{}", complaint.text());
    let grown = grown_mib(&proxy, before);
    assert!(grown < 160, "{grown} MiB");
    drop(client);
    serves(&proxy);
}

#[test]
fn a_length_beyond_all_reason_is_refused_without_making_room_for_it() {
    let proxy = proxy(1);
    let before = proxy.resident_kib();
    for tag in [b'Q', b'P', b'B', b'd', b'F'] {
        let mut client = Raw::login(proxy.port(), "postgres");
        // One more than PostgreSQL takes.
        client.send(&[&[tag], &0x4000_0000_u32.to_be_bytes()[..], b"SELECT"].concat()).unwrap();

        let answer = client.until_end();

        assert_eq!(tags(&answer), "E", "{}", char::from(tag));
        assert_eq!(answer[0].sqlstate(), "08P01");
    }
    let grown = grown_mib(&proxy, before);
    assert!(grown < 16, "{grown} MiB");
    serves(&proxy);
}

#[test]
fn a_hundred_thousand_prepared_statements_cost_what_their_texts_cost() {
    const NAMES: usize = 100_000;
    const AT_ONCE: usize = 500;
    let proxy = proxy(2);
    let text = |number: usize| format!("SELECT {number} + $1::int");
    let prepare_all = |client: &mut Raw| {
        for first in (0..NAMES).step_by(AT_ONCE) {
            let names = first..first + AT_ONCE;
            let mut bytes: Vec<u8> = names.flat_map(|number| parse(&format!("s{number}"), &text(number))).collect();
            bytes.extend(sync());
            client.send(&bytes).unwrap();
            let answer = client.until_ready();
            if let Some(complaint) = answer.iter().find(|message| message.tag == 'E') {
                assert_eq!(complaint.sqlstate(), "54000", "only a limit may stop it: {}", complaint.text());
                return;
            }
            assert_eq!(answer.len(), AT_ONCE + 1);
        }
    };
    let mut client = Raw::login(proxy.port(), "postgres");
    client.query("SELECT 1");
    let before = proxy.resident_kib();

    prepare_all(&mut client);

    let grown = grown_mib(&proxy, before);
    println!("{grown} MiB for {NAMES} statements");
    assert!(grown < 100, "{grown} MiB");
    for number in [0, 1, 777] {
        let run = [describe('S', &format!("s{number}")), bind(&format!("s{number}"), &["5"]), execute(), sync()];
        client.send(&run.concat()).unwrap();
        let answer = client.until_ready();
        assert_eq!(tags(&answer), "tT2DCZ");
        assert_eq!(answer[3].value(), (number + 5).to_string());
    }
    serves(&proxy);

    // What one has left is there for the next.
    drop(client);
    let before = proxy.resident_kib();
    let mut client = Raw::login(proxy.port(), "postgres");
    prepare_all(&mut client);
    let grown = grown_mib(&proxy, before);
    assert!(grown < 40, "{grown} MiB more for the next client");
}

#[test]
fn as_many_names_of_one_text_are_one_statement() {
    let proxy = proxy(1);
    let mut client = Raw::login(proxy.port(), "postgres");
    client.query("SELECT 1");
    let before = proxy.resident_kib();
    for _ in 0..200 {
        let mut bytes: Vec<u8> = Vec::new();
        for number in 0..500 {
            let name = format!("n{number}");
            bytes.extend([parse(&name, "SELECT 1"), close('S', &name)].concat());
        }
        client.send(&[bytes, sync()].concat()).unwrap();
        assert_eq!(client.until_ready().len(), 1001);
    }
    let grown = grown_mib(&proxy, before);
    assert!(grown < 8, "{grown} MiB");
}

#[test]
fn a_storm_of_savepoints_ends_as_on_a_direct_connection() {
    const LEVELS: usize = 10_000;
    const AT_ONCE: usize = 500;
    let proxy = proxy(2);
    let storm = |port: u16| {
        let mut client = Raw::login(port, "postgres");
        let mut seen_last = vec![seen(&client.query("BEGIN"))];
        for first in (0..LEVELS).step_by(AT_ONCE) {
            let levels = first..first + AT_ONCE;
            let level = |number: usize| format!("SAVEPOINT s{number}; SET LOCAL work_mem = '{}kB'", 100 + number);
            let bytes: Vec<u8> = levels.flat_map(|number| query(&level(number))).collect();
            client.send(&bytes).unwrap();
            for _ in 0..AT_ONCE {
                assert_eq!(tags(&client.until_ready()), "CCZ");
            }
        }
        for sql in [
            "SHOW work_mem",
            "ROLLBACK TO s5000",
            "SHOW work_mem",
            "SAVEPOINT s7",
            "SET TimeZone = 'Asia/Tokyo'",
            "RELEASE s4000",
            "SHOW work_mem",
            "ROLLBACK TO s10",
            "SHOW work_mem",
            "SHOW TimeZone",
            "ROLLBACK TO s9000",
            "ROLLBACK",
            "SHOW work_mem",
        ] {
            seen_last.push(seen(&client.query(sql)));
        }
        seen_last
    };
    let straight = storm(shared_cluster().primary().port);
    let before = proxy.resident_kib();

    assert_eq!(storm(proxy.port()), straight);

    let grown = grown_mib(&proxy, before);
    assert!(grown < 32, "{grown} MiB");
    serves(&proxy);
}

#[test]
fn savepoints_that_come_and_go_leave_nothing() {
    let proxy = proxy(2);
    let mut client = Raw::login(proxy.port(), "postgres");
    client.query("BEGIN");
    let before = proxy.resident_kib();
    let one = query("SAVEPOINT a; SET work_mem = '2MB'; RELEASE a; SAVEPOINT b; SET work_mem = '3MB'; ROLLBACK TO b");
    for _ in 0..40 {
        client.send(&one.repeat(250)).unwrap();
        for _ in 0..250 {
            assert_eq!(tags(&client.until_ready()), "CCCCCCZ");
        }
    }
    assert_eq!(client.query("SHOW work_mem")[1].value(), "2MB");
    assert_eq!(tags(&client.query("COMMIT")), "CZ");
    assert_eq!(client.query("SHOW work_mem")[1].value(), "2MB");
    let grown = grown_mib(&proxy, before);
    assert!(grown < 8, "{grown} MiB");
}

/// Whole requests, where they are cut, and what they are answered with when the rest has come.
fn requests_to_cut() -> Vec<(Vec<u8>, usize, &'static str)> {
    let long = "x".repeat(MIB / 4);
    let literal = format!("SELECT length('{long}')");
    let batch = |name: &str, text: &str| [parse(name, text), bind(name, &[]), execute(), sync()].concat();
    let parsed = parse("", "SELECT 1").len();
    vec![
        (query("SELECT 1"), 1, "TDCZ"),
        (query("SELECT 1"), 4, "TDCZ"),
        (query("SELECT 1"), 9, "TDCZ"),
        (query(&literal), literal.len() / 2, "TDCZ"),
        (batch("", "SELECT 1"), 7, "12DCZ"),
        (batch("", "SELECT 1"), parsed, "12DCZ"),
        (batch("", "SELECT 1"), parsed + 3, "12DCZ"),
        (batch("named", "SELECT 1"), parsed + 20, "12DCZ"),
        (batch("", &literal), literal.len() / 3, "12DCZ"),
        ([parse("", "SELECT length($1)"), bind("", &[&long]), execute(), sync()].concat(), long.len() / 2, "12DCZ"),
        (sync(), 2, "Z"),
        ([copy_data("stray\n"), copy_done(), query("SELECT 1")].concat(), 8, "TDCZ"),
    ]
}

#[test]
fn who_sends_half_a_message_and_waits_keeps_nobody_waiting() {
    const ROUNDS: usize = 20;
    let proxy = proxy(1);
    serves(&proxy);
    let before = proxy.resident_kib();
    let (mut waiting, mut sent) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        for (bytes, cut, answer) in requests_to_cut() {
            let mut client = Raw::login(proxy.port(), "postgres");
            client.send(&bytes[..cut]).unwrap();
            sent += cut;
            waiting.push((client, bytes, cut, answer));
        }
        // A message that claims to be large is given no room before it comes.
        let mut client = Raw::login(proxy.port(), "postgres");
        client.send(&[b'Q', 0x3f, 0, 0, 0, b'x']).unwrap();
        waiting.push((client, Vec::new(), 0, ""));
        serves(&proxy);
    }

    let grown = grown_mib(&proxy, before);
    println!("{grown} MiB for {} clients that sent {} MiB", waiting.len(), sent / MIB);
    assert!(grown < 2 * sent / MIB + 24, "{grown} MiB");
    for (mut client, bytes, cut, answer) in waiting {
        if !bytes.is_empty() {
            client.send(&bytes[cut..]).unwrap();
            assert_eq!(tags(&client.until_ready()), answer, "{:?}…", bytes[..bytes.len().min(40)].escape_ascii());
        }
    }
    serves(&proxy);
}

#[test]
fn half_a_row_of_a_copy_holds_its_own_server_only() {
    let database = fresh_database();
    let proxy = proxy(2);
    let mut client = Raw::login(proxy.port(), &database);
    client.query("CREATE TABLE t (x int)");
    client.send(&query("COPY t FROM STDIN")).unwrap();
    assert_eq!(client.next().map(|message| message.tag), Some('G'));
    let row = message(b'd', b"12345\n");
    client.send(&row[..7]).unwrap();

    let mut other = Raw::login(proxy.port(), &database);
    assert_eq!(other.query("SELECT count(*) FROM t")[1].value(), "0");

    client.send(&row[7..]).unwrap();
    client.send(&copy_done()).unwrap();
    assert_eq!(tags(&client.until_ready()), "CZ");
    assert_eq!(other.query("SELECT x FROM t")[1].value(), "12345");
}

#[test]
fn who_sends_half_a_message_and_goes_leaves_nothing() {
    let proxy = proxy(1);
    for (bytes, cut, _) in requests_to_cut() {
        let mut client = Raw::login(proxy.port(), "postgres");
        client.send(&bytes[..cut]).unwrap();
        drop(client);
        serves(&proxy);
    }
    let mut stranger = Raw::open(proxy.port());
    stranger.send(&startup(&[("user", "postgres")])[..5]).unwrap();
    drop(stranger);
    serves(&proxy);
}
