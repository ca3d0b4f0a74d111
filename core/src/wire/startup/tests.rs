use super::*;

/// A packet of `body` after its length.
fn packet(body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
}

fn version(major: u16, minor: u16) -> [u8; 4] {
    let (major, minor) = (major.to_be_bytes(), minor.to_be_bytes());
    [major[0], major[1], minor[0], minor[1]]
}

fn parsed(packet: &[u8]) -> FirstPacket {
    let (parsed, used) = parse(packet).unwrap().unwrap();
    assert_eq!(used, packet.len());
    parsed
}

fn startup(minor: u16, parameters: &str) -> StartupMessage {
    match parsed(&packet(&[&version(3, minor), parameters.as_bytes()])) {
        FirstPacket::Startup(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_of_first_packet_is_recognised() {
    assert_eq!(parsed(&packet(&[&version(1234, 5679)])), FirstPacket::SslRequest);
    assert_eq!(parsed(&packet(&[&version(1234, 5680)])), FirstPacket::GssEncRequest);
    assert_eq!(parse(&[0x16, 3, 1]), Ok(Some((FirstPacket::DirectTls, 0))));
    for key in [vec![1, 2, 3, 4], vec![7; 32], vec![9; 256]] {
        let cancel = packet(&[&version(1234, 5678), &42_u32.to_be_bytes(), &key]);
        assert_eq!(parsed(&cancel), FirstPacket::Cancel { pid: 42, key });
    }
    let message = startup(0, "user\0alice\0database\0shop\0\0");
    assert_eq!((message.parameter("user"), message.parameter("database")), (Some("alice"), Some("shop")));
    assert!(!message.needs_negotiation());
}

#[test]
fn a_newer_protocol_and_unknown_options_are_negotiated_down() {
    for (minor, negotiated, tell) in [(0, 0, false), (1, 1, false), (2, 2, false), (3, 2, true), (9999, 2, true)] {
        let message = startup(minor, "user\0a\0\0");
        assert_eq!(message.negotiated(), ProtocolVersion { major: 3, minor: negotiated });
        assert_eq!(message.needs_negotiation(), tell, "3.{minor}");
    }
    let message = startup(0, "user\0a\0_pq_.compression\0zstd\0_pq_.x\0\0\0");
    assert_eq!(message.unknown_options, ["_pq_.compression", "_pq_.x"]);
    assert_eq!(message.parameters, [("user".to_owned(), "a".to_owned())]);
    assert!(message.needs_negotiation());
}

#[test]
fn what_is_not_a_first_packet_is_refused_with_postgres_codes() {
    let layout = StartupError::Layout;
    for (bytes, error, code) in [
        (vec![0, 0, 0, 0], StartupError::Length, "08P01"),
        (vec![0, 0, 0, 7], StartupError::Length, "08P01"),
        (10_005_u32.to_be_bytes().to_vec(), StartupError::Length, "08P01"),
        (b"GET / HTTP/1.1\r\n".to_vec(), StartupError::Length, "08P01"),
        (packet(&[&version(3, 0)]), layout.clone(), "08P01"),
        (packet(&[&version(3, 0), b"user"]), layout.clone(), "08P01"),
        (packet(&[&version(3, 0), b"user\0alice\0"]), layout.clone(), "08P01"),
        (packet(&[&version(3, 0), b"user\0alice\0\0x"]), layout, "08P01"),
        (packet(&[&version(1234, 5678)]), StartupError::CancelKey, "08P01"),
        (packet(&[&version(1234, 5678), &[0; 7]]), StartupError::CancelKey, "08P01"),
        (packet(&[&version(1234, 5678), &[0; 261]]), StartupError::CancelKey, "08P01"),
        (packet(&[&version(3, 0), b"user\0\xff\0\0"]), StartupError::NotUtf8 { name: "user".into() }, "22021"),
        (
            packet(&[&version(2, 0), b"x"]),
            StartupError::UnsupportedVersion { version: ProtocolVersion { major: 2, minor: 0 } },
            "0A000",
        ),
        (
            packet(&[&version(4, 1), b"x"]),
            StartupError::UnsupportedVersion { version: ProtocolVersion { major: 4, minor: 1 } },
            "0A000",
        ),
        (packet(&[&version(1234, 5679), b"x"]), StartupError::UnsupportedVersion { version: SSL_REQUEST }, "0A000"),
    ] {
        assert_eq!(parse(&bytes), Err(error.clone()), "{bytes:?}");
        assert_eq!(error.sqlstate().as_str(), code, "{error}");
    }
}

#[test]
fn a_packet_that_is_still_arriving_is_waited_for() {
    let whole = packet(&[&version(3, 0), b"user\0alice\0\0"]);
    for end in 0..whole.len() {
        assert_eq!(parse(&whole[..end]), Ok(None), "cut at {end}");
    }
    let longest = packet(&[&version(3, 0), &[b'x'; STARTUP_PACKET_MAX_BYTES - 7], b"\0\0\0"]);
    assert_eq!(longest.len(), STARTUP_PACKET_MAX_BYTES + 4);
    assert!(matches!(parse(&longest), Ok(Some((FirstPacket::Startup(_), _)))));
    assert_eq!(parse(&longest[..9000]), Ok(None));
}

#[test]
fn options_are_read_as_the_server_reads_them() {
    for (options, settings) in [
        ("", &[][..]),
        ("-c work_mem=1MB", &[("work_mem", "1MB")]),
        (" -cwork_mem=1MB\t--search-path=a,b ", &[("work_mem", "1MB"), ("search_path", "a,b")]),
        (r"-c application_name=my\ app\\ -c a=b=c", &[("application_name", r"my app\"), ("a", "b=c")]),
        ("-c x=", &[("x", "")]),
    ] {
        let settings: Vec<_> = settings.iter().map(|&(n, v): &(&str, &str)| (n.to_owned(), v.to_owned())).collect();
        assert_eq!(parse_options(options), Ok(settings), "{options}");
    }
    for options in ["-c", "-c x", "--x", "-c =1", "-d 5", "work_mem=1", "-c a=1 -"] {
        assert_eq!(parse_options(options), Err(StartupError::Options), "{options}");
    }
}

#[test]
fn any_bytes_are_read_without_panic() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    let mut random = StdRng::seed_from_u64(1);
    let seeds = [
        packet(&[&version(3, 2), b"user\0alice\0options\0-c a=\\ b\0_pq_.x\0\0\0"]),
        packet(&[&version(1234, 5678), &[0; 36]]),
        packet(&[&version(1234, 5679)]),
    ];
    for _ in 0..200_000 {
        let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
        for _ in 0..random.random_range(0..5) {
            let place = random.random_range(0..bytes.len());
            match random.random_range(0..3) {
                0 => bytes[place] = random.random(),
                1 => bytes.truncate(place.max(1)),
                _ => bytes.insert(place, random.random()),
            }
        }
        if let Ok(Some((packet, used))) = parse(&bytes) {
            assert!(used <= bytes.len());
            if let FirstPacket::Startup(message) = packet {
                let _ = parse_options(message.parameter("options").unwrap_or_default());
            }
        }
    }
}
