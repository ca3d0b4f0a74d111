use std::{collections::BTreeMap, io, path::Path};

use super::{
    tokens::{Line, lines},
    *,
};

/// The rules of a file, whose lists of names are `names` and `others`.
fn read(contents: &str) -> (Hba, Vec<String>) {
    let ident = "staff /^(.*)@example\\.com$ \\1\nstaff root all\n";
    let (maps, problems) = maps("ident", ident.as_bytes());
    assert_eq!(problems, []);
    let read = |path: &Path| match path.to_str() {
        Some("etc/names") => Ok(b"ann, bob # and\n\"all\"\n@others\n".to_vec()),
        Some("etc/others") => Ok(b"eve".to_vec()),
        Some("etc/itself") => Ok(b"@itself".to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let (hba, problems) = rules(Path::new("etc/hba"), contents.as_bytes(), &maps, &read);
    (hba, problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn good(contents: &str) -> Hba {
    let (hba, problems) = read(contents);
    assert_eq!(problems, [] as [&str; 0]);
    hba
}

fn tcp(address: &str) -> Origin {
    Origin::Tcp { address: address.parse().unwrap(), tls: false }
}

fn arrival<'a>(origin: Origin, database: &'a str, user: &'a str) -> Arrival<'a> {
    Arrival { origin, database, user, replication: false }
}

/// The line that decides about this client.
fn line(hba: &Hba, arrival: Arrival<'_>) -> Option<usize> {
    hba.decide(&arrival).map(|rule| rule.line)
}

#[test]
fn the_first_rule_that_applies_decides() {
    let hba = good(
        "# TYPE DATABASE USER ADDRESS METHOD\n\
         local all all peer\n\
         host app ann 10.0.0.0/8 reject\n\
         host app all 10.0.0.0/8 trust\n\
         host sameuser all 0.0.0.0/0 md5\n\
         host all all all scram-sha-256\n",
    );

    let decided = |origin, database, user| line(&hba, arrival(origin, database, user));
    assert_eq!(decided(Origin::Local, "app", "ann"), Some(2));
    assert_eq!(decided(tcp("10.1.2.3"), "app", "ann"), Some(3));
    assert_eq!(decided(tcp("10.1.2.3"), "app", "bob"), Some(4));
    assert_eq!(decided(tcp("11.1.2.3"), "bob", "bob"), Some(5));
    assert_eq!(decided(tcp("11.1.2.3"), "app", "bob"), Some(6));
    assert_eq!(decided(tcp("::1"), "bob", "bob"), Some(6), "an IPv4 rule is not about IPv6");
}

#[test]
fn nobody_is_let_in_by_default() {
    let hba = good("host app ann 127.0.0.1/32 trust\n");
    assert_eq!(line(&hba, arrival(tcp("127.0.0.1"), "app", "ann")), Some(1));
    for (origin, database, user) in [
        (tcp("127.0.0.2"), "app", "ann"),
        (tcp("127.0.0.1"), "ap", "ann"),
        (tcp("127.0.0.1"), "app", "Ann"),
        (Origin::Local, "app", "ann"),
    ] {
        assert_eq!(line(&hba, arrival(origin, database, user)), None);
    }
    assert_eq!(line(&Hba::default(), arrival(Origin::Local, "app", "ann")), None);
}

#[test]
fn addresses_are_compared_as_far_as_the_mask_goes() {
    let table = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.9.8.7/8", "10.0.0.1", true),
        ("10.0.0.0 255.0.0.0", "10.1.1.1", true),
        ("10.0.0.1 255.255.255.255", "10.0.0.2", false),
        ("10.0.0.1/32", "10.0.0.1", true),
        ("0.0.0.0/0", "1.2.3.4", true),
        ("0.0.0.0/0", "::1", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "1.2.3.4", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("2001:db8:: ffff:ffff::", "2001:db8:1::", true),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("all", "::ffff:10.1.1.1", true),
        ("all", "2001:db8::1", true),
    ];
    for (addresses, address, expected) in table {
        let hba = good(&format!("host all all {addresses} trust"));
        assert_eq!(line(&hba, arrival(tcp(address), "d", "u")).is_some(), expected, "{addresses}: {address}");
    }
}

#[test]
fn tls_tells_the_ways_apart() {
    let hba = good("hostssl all all all scram-sha-256\nhostnossl all all all reject\n");
    let address = "127.0.0.1".parse().unwrap();
    assert_eq!(line(&hba, arrival(Origin::Tcp { address, tls: true }, "d", "u")), Some(1));
    assert_eq!(line(&hba, arrival(Origin::Tcp { address, tls: false }, "d", "u")), Some(2));
    assert_eq!(line(&hba, arrival(Origin::Local, "d", "u")), None);
}

#[test]
fn replication_is_not_among_all_databases() {
    let hba = good("host all all all trust\nhost replication rep all md5\nhost \"replication\" all all reject\n");
    let replicates = |user| Arrival { replication: true, ..arrival(tcp("127.0.0.1"), "d", user) };
    assert_eq!(line(&hba, replicates("rep")), Some(2));
    assert_eq!(line(&hba, replicates("ann")), None);
    assert_eq!(line(&hba, arrival(tcp("127.0.0.1"), "replication", "u")), Some(1));
}

#[test]
fn names_come_in_lists_in_quotes_and_in_files() {
    let hba = good("local \"my, db\",app , other \"all\",\"a\"\"b\" trust\nlocal all @names md5 # remark\n");
    assert_eq!(hba.lists, [PathBuf::from("etc/names"), PathBuf::from("etc/others")]);
    let decided = |database, user| line(&hba, arrival(Origin::Local, database, user));
    for database in ["my, db", "app", "other"] {
        assert_eq!(decided(database, "all"), Some(1));
        assert_eq!(decided(database, "a\"b"), Some(1));
    }
    assert_eq!(decided("app", "zoe"), None, "a quoted keyword is a name");
    for user in ["ann", "bob", "all", "eve"] {
        assert_eq!(decided("d", user), Some(2), "{user}");
    }
}

#[test]
fn lines_may_go_on_and_end_in_many_ways() {
    let hba = good("local all \\\n  all trust\r\n\r\nlocal\tall\tall\treject#no more\n\\\n# the end \\");
    let rules: Vec<_> = hba.rules.iter().map(|rule| (rule.line, rule.method)).collect();
    assert_eq!(rules, [(1, Method::Trust), (4, Method::Reject)]);
}

#[test]
fn every_bad_rule_is_named_with_its_place() {
    let table = [
        ("locl all all trust", "1:1: unknown kind of connection \"locl\", expected local, host, hostssl or hostnossl"),
        ("hostgssenc all all all trust", "1:1: GSSAPI is not supported"),
        ("include other.conf", "1:1: files cannot include others"),
        ("local", "1:1: expected databases after \"local\""),
        ("local all", "1:7: expected users after \"all\""),
        ("local all all", "1:11: expected a method after \"all\""),
        ("local samerole all trust", "1:7: \"samerole\" is not supported, only PostgreSQL knows groups"),
        ("local all +staff trust", "1:11: \"+staff\" is not supported, only PostgreSQL knows groups"),
        ("local /^a all trust", "1:7: regular expressions are not supported here"),
        ("local all \"\" trust", "1:11: the name is empty"),
        ("local all \"ann trust", "1:11: a quote that is not closed"),
        ("local all @missing trust", "1:11: cannot read etc/missing: entity not found"),
        ("local all @itself trust", "1:11: lists refer to lists more than 10 deep"),
        (
            "host all all localhost trust",
            "1:14: expected an address such as 10.0.0.0/8, or all, not \"localhost\"; host names are not supported",
        ),
        (
            "host all all samenet trust",
            "1:14: expected an address such as 10.0.0.0/8, or all, not \"samenet\"; host names are not supported",
        ),
        ("host all all 10.0.0.0/33 trust", "1:14: \"10.0.0.0/33\" has no length of a prefix after the `/`, 0 to 32"),
        ("host all all ::/+1 trust", "1:14: \"::/+1\" has no length of a prefix after the `/`, 0 to 128"),
        ("host all all 10.0.0.0 trust", "1:23: expected a mask such as 255.0.0.0, not \"trust\""),
        ("host all all 10.0.0.0", "1:14: expected `/` and the length of a prefix, or a mask, after \"10.0.0.0\""),
        ("host all all 10.0.0.0 ffff:: trust", "1:23: the address and its mask are not of one family"),
        ("host all all all,all trust", "1:18: expected an address such as 10.0.0.0/8, or all, not a list"),
        (
            "host all all all ldap",
            "1:18: the method \"ldap\" is not supported, only trust, reject, md5, scram-sha-256, password, cert and peer are",
        ),
        ("host all all all peer", "1:18: peer needs a unix socket: it goes with local"),
        ("host all all all cert", "1:18: cert needs TLS: it goes with hostssl"),
        ("local all all md5 map=staff", "1:19: `map` goes with the methods cert and peer only"),
        ("local all all peer map=crew", "1:20: the map \"crew\" is not in `auth_ident_file`"),
        ("local all all peer pamservice=x", "1:20: the option \"pamservice\" is not supported, only `map` is"),
        ("local all all peer now", "1:20: expected an option such as map=name, not \"now\""),
    ];
    for (contents, expected) in table {
        assert_eq!(read(contents).1, [format!("etc/hba:{expected}")], "{contents}");
    }
    assert_eq!(read("\nlocal\n\nhost all\nlocal all all trust\n").1.len(), 2, "all of them are reported");
}

#[test]
fn a_map_says_who_stands_for_whom() {
    let contents = "# MAP SYSTEM USER\n\
        m root all\n\
        m ann bob\n\
        m ann eve\n\
        m /^(.*)@example\\.com$ \\1\n\
        m /^svc-(.*)$ service_\\1_x\n\
        m /^(a)|b$ \\1z\n\
        m /quoted$ \"\\1\"\n\
        other carl carl\n";
    let (maps, problems) = maps("ident", contents.as_bytes());
    assert_eq!(problems, []);
    let map = &maps["m"];
    for (system, user, allowed) in [
        ("root", "anybody", true),
        ("ann", "bob", true),
        ("ann", "eve", true),
        ("ann", "ann", false),
        ("bob", "ann", false),
        ("joe@example.com", "joe", true),
        ("joe@example.com", "joe@example.com", false),
        ("joe@example.comx", "joe", false),
        ("joe@exampleXcom", "joe", false),
        ("svc-a", "service_a_x", true),
        ("svc-a", "service_b_x", false),
        ("svc-", "service__x", true),
        ("svc-", "service_x", false),
        ("a", "az", true),
        ("b", "z", false),
        ("quoted", "\\1", true),
        ("quoted", "1", false),
        ("carl", "carl", false),
    ] {
        assert_eq!(map.allows(system, user), allowed, "{system} as {user}");
    }
}

#[test]
fn every_bad_line_of_a_map_is_named_with_its_place() {
    let table = [
        ("m ann", "1:3: expected a map's name, a system user and a database user"),
        ("m ann bob carl", "1:11: expected a map's name, a system user and a database user"),
        ("m ann,bob carl", "1:3: a list is not accepted here"),
        ("m ann +staff", "1:7: groups are not supported, name each user"),
        ("m ann /^x", "1:7: a regular expression is supported for the system user only"),
        ("m /^ann$ \\1", "1:10: there is no group in the regular expression that `\\1` could stand for"),
        ("include other.conf x", "1:1: files cannot include others"),
    ];
    for (contents, expected) in table {
        let problems = maps("ident", contents.as_bytes()).1;
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [format!("ident:{expected}")]);
    }
    let broken = maps("ident", b"m /(ann bob").1;
    assert!(broken[0].to_string().starts_with("ident:1:3: \"(ann\" is no regular expression: "), "{}", broken[0]);
}

#[test]
fn any_bytes_are_read_without_a_panic() {
    let pieces: [&[u8]; 10] = [b"\"", b"\\", b"\n", b",", b"#", b"@", b" ", b"local", b"\xff", b"\0"];
    // All sequences of four pieces.
    for number in 0..pieces.len().pow(4) {
        let digits = (0..4).map(|place| number / pieces.len().pow(place) % pieces.len());
        let contents: Vec<u8> = digits.flat_map(|digit| pieces[digit].to_vec()).collect();
        for Line { number, fields } in lines(&contents).into_iter().flatten() {
            assert!(number > 0 && fields.iter().all(|field| !field.is_empty()));
        }
        let _ = maps("ident", &contents);
        let _ = rules(Path::new("hba"), &contents, &BTreeMap::new(), &|_| Ok(Vec::new()));
    }
}
