//! What is refused, and in which words.

use super::*;

#[test]
fn an_unknown_key_names_the_nearest_one() {
    refused("\n\n\npoolmode = \"session\"", &["4:1: unknown key `poolmode`; did you mean `pool_mode`?"]);
    refused("  max_clients = 1", &["1:3: unknown key `max_clients`; did you mean `max_client_conn`?"]);
    refused("zzz = 1", &["1:1: unknown key `zzz`"]);
}

#[test]
fn a_key_of_pgbouncer_that_we_lack_says_what_to_do() {
    refused("so_reuseport = 1", &["1:1: unknown key `so_reuseport`; one process uses `workers` cores"]);
    refused("disable_pqexec = 1", &["1:1: unknown key `disable_pqexec`; PgBouncer's, and not supported"]);
    refused(
        "auth_type = \"trust\"\n[pgbouncer]\npool_mode = 1",
        &["2:2: unknown key `pgbouncer`; the keys of [pgbouncer] stand at the top of the file, outside of any table"],
    );
    tables_refused(
        &format!("{TABLES}a = {{ host = \"h\" }}\n[users.ann]\nlisten_backlog = 5"),
        &[
            "6:7: unknown key `databases.a.host`; hosts are nodes of a cluster: [clusters.NAME] nodes = [{ name = \"n0\", host = \"…\" }]",
            "8:1: unknown key `users.ann.listen_backlog`",
        ],
    );
}

#[test]
fn a_key_that_slipped_into_a_table_is_told_where_it_belongs() {
    tables_refused(
        &format!("{TABLES}listen_port = 6432\n[users.ann]\nadmin_users = []"),
        &[
            "6:15: `databases.listen_port` is 6432, expected a table; `listen_port` stands at the top of the file, before the first table",
            "8:1: unknown key `users.ann.admin_users`; `admin_users` stands at the top of the file, before the first table",
        ],
    );
}

#[test]
fn a_value_of_the_wrong_kind_says_what_is_accepted() {
    let table = [
        ("listen_port = 0", "1:15: `listen_port` is 0, expected a whole number from 1 to 65535"),
        ("listen_port = 65536", "1:15: `listen_port` is 65536, expected a whole number from 1 to 65535"),
        ("listen_port = -1", "1:15: `listen_port` is -1, expected a whole number from 1 to 65535"),
        ("listen_port = 1.5", "1:15: `listen_port` is 1.5, expected a whole number from 1 to 65535"),
        ("listen_port = \"abc\"", "1:15: `listen_port` is \"abc\", expected a whole number from 1 to 65535"),
        ("listen_port = true", "1:15: `listen_port` is true, expected a whole number from 1 to 65535"),
        ("listen_port = [1]", "1:15: `listen_port` is a list, expected a whole number from 1 to 65535"),
        ("config_watch = 2", "1:16: `config_watch` is 2, expected true or false"),
        ("admin_users = 5", "1:15: `admin_users` is 5, expected a list of texts"),
        ("admin_users = [1]", "1:15: `admin_users` is a list, expected a list of texts"),
        ("server_reset_query = \"a\\u0000\"", "1:22: `server_reset_query` is \"a\\0\", expected text"),
        (
            "unix_socket_mode = 0o777",
            "1:20: `unix_socket_mode` is 511, expected an octal file mode in quotes such as \"0777\"",
        ),
        (
            "unix_socket_mode = \"888\"",
            "1:20: `unix_socket_mode` is \"888\", expected an octal file mode in quotes such as \"0777\"",
        ),
        (
            "metrics_listen = \":9127\"",
            "1:18: `metrics_listen` is \":9127\", expected an address and a port such as \"127.0.0.1:9127\"",
        ),
        ("pool_mode = \"statement\"", "1:13: `pool_mode` is \"statement\", expected \"session\" or \"transaction\""),
        (
            "pool_mode = \"transactoin\"",
            "1:13: `pool_mode` is \"transactoin\", expected \"session\" or \"transaction\"; did you mean \"transaction\"?",
        ),
        (
            "auth_type = \"ldap\"",
            "1:13: `auth_type` is \"ldap\", expected \"trust\", \"password\", \"plain\", \"md5\", \"scram-sha-256\", \"cert\" or \"hba\"",
        ),
    ];
    for (keys, expected) in table {
        refused(keys, &[expected]);
    }
}

#[test]
fn a_duration_has_a_unit_and_a_range() {
    const ANY: &str = "expected a duration: seconds, or a text such as \"200ms\", \"30s\", \"5min\" or \"1h\"";
    for value in
        ["\"5m\"", "-1", "\"-1s\"", "\"1e3\"", "inf", "true", "\"99999999999d\"", "\"\"", "\".\"", "\"1.2.3s\""]
    {
        refused(&format!("query_timeout = {value}"), &[&format!("1:17: `query_timeout` is {value}, {ANY}")]);
    }
    refused(
        "probe_interval = 0\nslow_start = \"2h\"\ntcp_user_timeout = \"x\"",
        &[
            "1:18: `probe_interval` is 0, expected a duration from 10ms to 60s: seconds, or a text such as \"200ms\", \"30s\", \"5min\" or \"1h\"",
            "2:14: `slow_start` is \"2h\", expected a duration up to 3600s: seconds, or a text such as \"200ms\", \"30s\", \"5min\" or \"1h\"",
            "3:20: `tcp_user_timeout` is \"x\", expected a duration: milliseconds, or a text such as \"200ms\", \"30s\", \"5min\" or \"1h\"",
        ],
    );
}

#[test]
fn what_is_not_toml_names_the_first_place() {
    let table = [
        ("a = ", "howdah.toml:1:5: not TOML: string values must be quoted, expected literal string"),
        ("b = \"x\nc = [1,", "howdah.toml:1:7: not TOML: invalid basic string, expected `\"`"),
        (
            "a = 1\nü = 1\n a = 2",
            "howdah.toml:2:1: not TOML: invalid unquoted key, expected letters, numbers, `-`, `_`",
        ),
        ("listen_port = 1\n listen_port = 2", "howdah.toml:2:2: `listen_port` stands here a second time"),
    ];
    for (text, expected) in table {
        assert_eq!(given(text).problems(), [expected], "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let mut missing = given("");
    missing.sources.file = Some("other.toml".into());
    assert_eq!(missing.problems(), ["other.toml: cannot be read: entity not found"]);

    let latin = given("").file("howdah.toml", b"a = 1\nb = \"\xff\"");
    assert_eq!(latin.problems(), ["howdah.toml:2:6: not UTF-8"]);
}

#[test]
fn an_empty_file_lacks_what_a_proxy_needs() {
    assert_eq!(
        given("").problems(),
        [
            "howdah.toml: `auth_type` \"md5\", the default, needs `auth_file`, which is not set",
            "howdah.toml: no cluster: add [clusters.main] with `nodes`",
            "howdah.toml: no database: add [databases] with \"*\" = {} for all that the cluster has",
        ]
    );
    assert_eq!(
        Given::default().problems()[0],
        "configuration: `auth_type` \"md5\", the default, needs `auth_file`, which is not set"
    );
}

#[test]
fn every_problem_is_reported_at_once_in_the_order_of_the_file() {
    let text = MINIMAL
        .replace("listen_port = 6432", "listen_prot = 6432")
        .replace("port = 5433", "port = 70000")
        .replace("cluster = \"main\"", "cluster = \"mian\"")
        .replace("settings = { }", "settings = 3");
    let problems = given(&text).problems();

    assert_eq!(
        problems,
        [
            "howdah.toml:3:1: unknown key `listen_prot`; did you mean `listen_port`?",
            "howdah.toml:13:45: `clusters.main.nodes[1].port` is 70000, expected a whole number from 1 to 65535",
            "howdah.toml:18:19: `databases.\"*\".cluster` is \"mian\", which is not in [clusters]; did you mean \"main\"?",
            "howdah.toml:22:12: `plugins.router.settings` is 3, expected a table",
        ]
    );
}

#[test]
fn a_damaged_file_is_refused_or_accepted_but_never_a_panic() {
    for at in 0..MINIMAL.len() {
        for damage in ["", "\"", "[", "=", "\n", "{", "9", "ü"] {
            let text = format!("{}{damage}{}", &MINIMAL[..at], &MINIMAL[at + 1..]);
            _ = given(&text).flag(&format!("{}=1", &MINIMAL[at..(at + 9).min(MINIMAL.len())])).load();
        }
    }
    for deep in ["[", "{a=", "[[", "a."] {
        _ = given(&format!("a = {}", deep.repeat(100_000))).load();
        _ = given(&deep.repeat(10_000)).flag(&format!("plugins.router.settings={}", deep.repeat(10_000))).load();
    }
}

#[test]
fn a_problem_carries_the_keys_path() {
    let errors = given(&with_tables("listen_port = 0")).load().unwrap_err();

    assert_eq!(errors.problems[0].key, "listen_port");
}

#[test]
fn variables_and_flags_are_named() {
    let problems = given(MINIMAL)
        .variable("HOWDAH_LISTEN_PORT", "many")
        .variable("HOWDAH_POOLMODE", "session")
        .variable("HOWDAH_CLUSTERS__OTHER__NODES", "[{name = \"a\"}]")
        .flag("databases.app.pool_size=0")
        .flag("stats_users.x=1")
        .problems();

    assert_eq!(
        problems,
        [
            "environment HOWDAH_CLUSTERS__OTHER__NODES: `clusters.other.nodes[0].host` is missing, expected text that is not empty",
            "environment HOWDAH_LISTEN_PORT: `listen_port` is \"many\", expected a whole number from 1 to 65535",
            "environment HOWDAH_POOLMODE: unknown key `poolmode`; did you mean `pool_mode`?",
            "--set databases.app.pool_size: `databases.app.cluster` is missing, it is one of main, other",
            "--set databases.app.pool_size: `databases.app.pool_size` is \"0\", expected a whole number from 1 to 1000000",
            "--set stats_users.x: `stats_users` is a table, expected a list of texts",
        ]
    );
}

#[test]
fn a_flag_without_equals_sign_is_no_flag() {
    assert_eq!(Sources::flag("listen_port"), Err("expected key=value, not \"listen_port\"".to_owned()));
    assert_eq!(Sources::flag("a = b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
}

#[test]
fn no_message_repeats_a_password() {
    tables_refused(
        "[clusters.main]\nnodes = \"hunter2\"\ncontrol_password = { x = \"hunter2\" }\n[databases]\n\
         a = \"host=h password=hunter2\"\nb = { password = [\"hunter2\"], passwort = \"hunter2\" }",
        &[
            "3:9: `clusters.main.nodes` is text, expected a list of tables such as { name = \"n0\", host = \"127.0.0.1\" }",
            "4:20: `clusters.main.control_password`: expected text",
            "6:5: `databases.a` is text, expected a table",
            "7:18: `databases.b.password`: expected text",
            "7:31: unknown key `databases.b.passwort`; did you mean `password`?",
        ],
    );
}

#[test]
fn somebody_must_be_able_to_connect() {
    refused("unix_socket_dir = \"\"", &["1:19: nobody could connect: set `listen_addr` or `unix_socket_dir`"]);
}

pub(super) const PEM_KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
pub(super) const PEM_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

#[test]
fn tls_needs_its_files() {
    refused(
        "client_tls_sslmode = \"verify-full\"",
        &[
            "1:22: `client_tls_sslmode` \"verify-full\" needs `client_tls_key_file`, which is not set",
            "1:22: `client_tls_sslmode` \"verify-full\" needs `client_tls_cert_file`, which is not set",
            "1:22: `client_tls_sslmode` \"verify-full\" needs `client_tls_ca_file`, which is not set",
        ],
    );
    refused(
        "server_tls_sslmode = \"verify-ca\"",
        &["1:22: `server_tls_sslmode` \"verify-ca\" needs `server_tls_ca_file`, which is not set"],
    );
    refused(
        "server_tls_key_file = \"gone.key\"",
        &[
            "1:23: `server_tls_key_file` needs `server_tls_cert_file`, which is not set",
            "1:23: `server_tls_key_file`: cannot read gone.key: entity not found",
        ],
    );
}

#[test]
fn tls_files_are_pem() {
    let keys = "client_tls_sslmode = \"verify-ca\"\nclient_tls_key_file = \"k\"\nclient_tls_cert_file = \"c\"\nclient_tls_ca_file = \"a\"";
    let good =
        given(&with_tables(keys)).file("k", PEM_KEY).file("c", PEM_CERTIFICATE).file("a", PEM_CERTIFICATE.repeat(2));
    let swapped = given(&with_tables(keys)).file("k", PEM_CERTIFICATE).file("c", PEM_KEY).file("a", "hello");

    assert_eq!(good.config().client_tls.ca_file, Some("a".into()));
    assert_eq!(
        swapped.problems(),
        [
            "howdah.toml:2:23: `client_tls_key_file`: k is not a PEM file with a private key",
            "howdah.toml:3:24: `client_tls_cert_file`: c is not a PEM file with a certificate",
            "howdah.toml:4:22: `client_tls_ca_file`: a is not a PEM file with a certificate",
        ]
    );
}
