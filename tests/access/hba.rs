//! `auth_type = "hba"` and `"cert"`: rules, certificates, processes.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use howdah::demo::ProxyConfig;
use howdah_tests::{
    Proxy,
    raw::{Message, Raw, startup},
};

use super::{cluster, proxy, refusal, sql};
use crate::login::certificates::Certificates;

fn ruled(rules: &'static str) -> impl FnOnce(ProxyConfig) -> ProxyConfig {
    move |config| config.set("auth_hba_file", "\"hba\"").file("hba", rules)
}

/// The first answer to a client that comes over TCP.
fn first_answer(proxy: &Proxy, user: &str, database: &str) -> Message {
    let mut raw = Raw::open(proxy.port());
    raw.send(&startup(&[("user", user), ("database", database)])).unwrap();
    raw.next().unwrap()
}

/// What a client without a rule is told.
fn turned_away(proxy: &Proxy, user: &str, database: &str) -> String {
    let told = first_answer(proxy, user, database);
    assert_eq!((told.tag, &*told.sqlstate()), ('E', "28000"));
    told.text()
}

/// The code of the authentication request.
fn asked(proxy: &Proxy, user: &str, database: &str) -> u8 {
    let request = first_answer(proxy, user, database);
    assert_eq!(request.tag, 'R');
    request.body[3]
}

const RULES: &str = "# who\n\
    host all postgres all md5\n\
    host app \"all\" 127.0.0.0/8 trust\n\
    host app eve 127.0.0.1 255.255.255.255 reject\n\
    hostssl all carl all trust\n\
    host app,sameuser @people 127.0.0.1/32 scram-sha-256\n\
    host app dora 127.0.0.1/32 password\n\
    host all all 10.0.0.0/8 trust\n";

#[test]
fn the_first_rule_decides_and_nobody_is_let_in_without_one() {
    let proxy = proxy("hba", |config| ruled(RULES)(config).file("people", "ann bob # , carl"));
    let no_rule = |user: &str, database: &str| {
        let told = turned_away(&proxy, user, database);
        let host = format!("host \"127.0.0.1\", user \"{user}\", database \"{database}\", no encryption");
        assert_eq!(told, format!("no HBA rule for {host}"));
    };
    let told = turned_away(&proxy, "eve", "app");
    let host = "host \"127.0.0.1\", user \"eve\", database \"app\", no encryption";
    assert_eq!(told, format!("an HBA rule rejects {host}"));
    no_rule("eve", "other");
    no_rule("carl", "app");
    no_rule("ann", "other");
    no_rule("all", "other");
    let (clear, md5, scram) = (3, 5, 10);
    assert_eq!(asked(&proxy, "ann", "app"), scram);
    assert_eq!(asked(&proxy, "bob", "bob"), scram);
    assert_eq!(asked(&proxy, "dora", "app"), clear);
    assert_eq!(asked(&proxy, "postgres", "anything"), md5);
    assert_eq!(proxy.client().ask("SELECT current_user").unwrap(), "postgres");
    assert_eq!(proxy.console().table("SHOW VERSION").unwrap().rows.len(), 1, "rules are about the console too");
}

#[test]
fn a_reload_takes_all_rules_or_none_and_says_what_is_wrong() {
    let proxy = proxy("hba", ruled("host all postgres all md5\n"));
    let with = |rules: &str| {
        let config = ProxyConfig::for_cluster(cluster(), proxy.port()).without_router().users(&super::FILED);
        config.set("auth_type", "\"hba\"").set("auth_hba_file", "\"hba\"").file("hba", rules)
    };
    assert!(turned_away(&proxy, "asker", "postgres").starts_with("no HBA rule"));

    let refused = proxy.reload(&with("host all all all trust\nhost all postgres all mdx\n")).unwrap_err();
    assert!(refused.contains("hba:2:23: the method \"mdx\" is not supported"), "{refused}");
    assert!(turned_away(&proxy, "asker", "postgres").starts_with("no HBA rule"), "nothing has changed");

    proxy.reload(&with("host all asker,postgres all md5\n")).unwrap();
    assert_eq!(asked(&proxy, "asker", "postgres"), 5);
}

#[test]
fn a_process_is_known_by_its_owner() {
    let owner = sql("\\! id -un");
    sql(&format!("CREATE ROLE \"{owner}x\" LOGIN; CREATE ROLE by_peer LOGIN PASSWORD 'right'"));
    let folder = "unix_socket_dir";
    let proxy = proxy("hba", |config| {
        let rules = "host all postgres all md5\nlocal all by_peer peer map=m\nlocal all all peer\n";
        let config = config.set(folder, "\"/tmp\"").file("hba", rules).set("auth_hba_file", "\"hba\"");
        let map = format!("m /^(.*){}$ by_\\1peer\nn {owner} all\n", owner);
        config.set("auth_ident_file", "\"ident\"").file("ident", &map).users(&[super::FILED[0], ("by_peer", "right")])
    });
    let here = |user: &str| {
        let mut client = proxy.client().user(user, "");
        client.host = "/tmp".into();
        client.ask("SELECT current_user")
    };

    assert_eq!(here("by_peer").unwrap(), "by_peer", "the map lets the owner be by_peer");
    let told = refusal(here(&format!("{owner}x")));
    assert!(told.contains(&format!("peer authentication failed for user \"{owner}x\"")), "{told}");
    match here(&owner) {
        Ok(user) => assert_eq!(user, "postgres", "who is in the file, too"),
        told => assert!(refusal(told).contains(&format!("no such user: {owner}"))),
    }
}

/// psql over TLS, with or without a certificate.
fn over_tls(proxy: &Proxy, user: &str, options: &str) -> String {
    let connection =
        format!("host=localhost port={} user={user} dbname=postgres sslmode=require {options}", proxy.port());
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "-At", "-c", "SELECT current_user", &connection]).env("PGPASSWORD", "right");
    let output = psql.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
}

/// A proxy with TLS, and how psql shows alice's certificate.
fn with_certificates(
    certificates: &Certificates,
    auth_type: &str,
    sslmode: &str,
    change: impl FnOnce(ProxyConfig) -> ProxyConfig,
) -> (Proxy, String) {
    let file = |name: &str| certificates.file(name).display().to_string();
    let quoted = |name: &str| format!("{:?}", file(name));
    let proxy = proxy(auth_type, |config| {
        let config = config.set("client_tls_sslmode", &format!("{sslmode:?}"));
        let config = config.set("client_tls_key_file", &quoted("localhost.key"));
        let config = config.set("client_tls_cert_file", &quoted("localhost.pem"));
        change(config.set("client_tls_ca_file", &quoted("ca.pem")))
    });
    fs::set_permissions(certificates.file("client.key"), fs::Permissions::from_mode(0o600)).unwrap();
    (proxy, format!("sslcert={} sslkey={}", file("client.pem"), file("client.key")))
}

const NO_CERTIFICATE: &str = "sslcert=/nowhere sslkey=/nowhere";

#[test]
fn a_certificate_is_its_common_names_and_nobody_elses() {
    sql("CREATE ROLE alice LOGIN PASSWORD 'right'; CREATE ROLE mallory LOGIN PASSWORD 'right'");
    let certificates = Certificates::make("cert");
    let users = [super::FILED[0], ("alice", "right"), ("mallory", "right")];
    let (proxy, own) = with_certificates(&certificates, "cert", "verify-full", |config| config.users(&users));

    assert_eq!(over_tls(&proxy, "alice", &own), "alice");
    let told = over_tls(&proxy, "mallory", &own);
    assert!(told.contains("certificate authentication failed for user \"mallory\""), "{told}");
    let told = over_tls(&proxy, "alice", NO_CERTIFICATE);
    assert!(told.contains("certificate required"), "{told}");
    let self_signed = format!(
        "sslcert={} sslkey={}",
        certificates.file("self-signed.pem").display(),
        certificates.file("self-signed.key").display()
    );
    fs::set_permissions(certificates.file("self-signed.key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(over_tls(&proxy, "alice", &self_signed).contains("SSL"), "nobody signed it whom we believe");
}

#[test]
fn rules_may_ask_some_for_certificates_and_others_for_passwords() {
    sql("CREATE ROLE \"team-alice\" LOGIN PASSWORD 'right'; CREATE ROLE walks LOGIN PASSWORD 'right'");
    let certificates = Certificates::make("hba-cert");
    let rules = "hostssl all walks all scram-sha-256\n\
        hostssl all alice all cert\n\
        hostssl all all all cert map=teams\n";
    let users =
        [super::FILED[0], ("alice", "right"), ("team-alice", "right"), ("team-bob", "right"), ("walks", "right")];
    let (proxy, own) = with_certificates(&certificates, "hba", "require", |config| {
        let config = config.set("auth_hba_file", "\"hba\"").file("hba", rules).users(&users);
        config.set("auth_ident_file", "\"ident\"").file("ident", "teams /^([a-z]+)$ team-\\1\n")
    });

    assert_eq!(over_tls(&proxy, "walks", NO_CERTIFICATE), "walks");
    assert_eq!(over_tls(&proxy, "walks", &own), "walks");
    assert_eq!(over_tls(&proxy, "team-alice", &own), "team-alice");
    let told = over_tls(&proxy, "team-bob", &own);
    assert!(told.contains("certificate authentication failed for user \"team-bob\""), "{told}");
    let told = over_tls(&proxy, "alice", NO_CERTIFICATE);
    assert!(told.contains("connection requires a valid client certificate"), "{told}");
}
