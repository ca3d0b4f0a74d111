//! Who may come in: the keys, and the files that they name.

use super::{
    super::{AuthType, Method, files},
    problems::{PEM_CERTIFICATE, PEM_KEY},
    *,
};

#[test]
fn authentication_needs_its_file() {
    for word in ["md5", "password", "scram-sha-256"] {
        let expected = format!("1:13: `auth_type` \"{word}\" needs `auth_file`, which is not set");
        refused(&format!("auth_type = \"{word}\""), &[&expected]);
    }
    refused("auth_type = \"hba\"", &["1:13: `auth_type` \"hba\" needs `auth_hba_file`, which is not set"]);
    refused("auth_type = \"cert\"", &["1:13: `auth_type` \"cert\" needs `client_tls_sslmode` \"verify-full\""]);
    refused("auth_file = \"gone.txt\"", &["1:13: `auth_file`: cannot read gone.txt: entity not found"]);
    let broken = given(&with_tables("auth_file = \"users.txt\"")).file("users.txt", "\n\"ann\" secret");
    assert_eq!(broken.problems(), ["users.txt:2:7: expected a secret in double quotes after the user name"]);
}

#[test]
fn users_that_are_looked_up_need_no_file() {
    let config = given(&with_tables("auth_type = \"md5\"\nauth_user = \"asker\"\nauth_dbname = \"app\"")).config();
    assert_eq!(config.auth_user.as_deref(), Some("asker"));
    assert_eq!(config.auth_dbname.as_deref(), Some("app"));
    assert!(config.auth_query.contains("rolvaliduntil") && config.auth_query.contains("$1"));

    let of_one = format!("auth_type = \"md5\"\n{TABLES}app = {{ auth_user = \"asker\" }}\n");
    assert!(given(&of_one).config().looks_users_up());

    let nobody = given(&with_tables("auth_user = \"\"\nauth_dbname = \"\"")).config();
    assert_eq!((nobody.auth_user, nobody.auth_dbname), (None, None));
}

#[test]
fn users_are_looked_up_in_a_database_that_there_is() {
    let listed = "[clusters.main]\nnodes = [{ name = \"n0\", host = \"127.0.0.1\" }]\n[databases]\n";
    let text = format!("auth_type = \"trust\"\nauth_dbname = \"a\"\n{listed}app = {{ auth_dbname = \"b\" }}\n");
    assert_eq!(
        given(&text).problems(),
        [
            "howdah.toml:2:15: `auth_dbname` is \"a\", which is not in [databases]",
            "howdah.toml:6:23: `databases.app.auth_dbname` is \"b\", which is not in [databases]",
        ]
    );
}

const HBA: &str = "auth_type = \"hba\"\nauth_hba_file = \"hba\"\n";

#[test]
fn rules_and_maps_are_read_together_with_the_configuration() {
    let keys = format!("{HBA}auth_ident_file = \"ident\"");
    let given = given(&with_tables(&keys))
        .file("hba", "local all root peer map=m\nhost @names all 10.0.0.0/8 reject\n")
        .file("ident", "m root all\n")
        .file("names", "app");
    let config = given.config();

    assert_eq!(config.auth_type, AuthType::Hba);
    let methods: Vec<_> = config.hba.rules.iter().map(|rule| rule.method).collect();
    assert_eq!(methods, [Method::Peer, Method::Reject]);
    assert!(config.hba.rules[0].map.as_ref().unwrap().allows("root", "ann"));
    let watched = files(&config, &given.sources);
    assert_eq!(watched, ["hba", "howdah.toml", "ident", "names"].map(PathBuf::from));
}

#[test]
fn what_is_wrong_in_the_rules_is_found_with_the_rest() {
    let keys = format!("{HBA}auth_ident_file = \"ident\"\nlisten_port = 0");
    let broken = given(&with_tables(&keys)).file("hba", "local all all peer\nlocal all md5\n").file("ident", "m a");
    assert_eq!(
        broken.problems(),
        [
            "hba:2:11: expected a method after \"md5\"",
            "howdah.toml:4:15: `listen_port` is 0, expected a whole number from 1 to 65535",
            "ident:1:3: expected a map's name, a system user and a database user",
        ]
    );
    assert_eq!(
        given(&with_tables(HBA)).problems(),
        ["howdah.toml:2:17: `auth_hba_file`: cannot read hba: entity not found"]
    );
}

#[test]
fn rules_need_what_they_ask_for() {
    let password = given(&with_tables(HBA)).file("hba", "\nlocal all all md5\n");
    assert_eq!(
        password.problems(),
        [
            "howdah.toml:2:17: `auth_hba_file`: the rule in line 2 asks for a password and needs `auth_file`, which is not set"
        ]
    );
    let certificate = "hostssl all all all cert";
    let needs = "howdah.toml:2:17: `auth_hba_file`: the rule in line 1 asks for a certificate and needs \
                 `client_tls_sslmode` and `client_tls_ca_file`";
    assert_eq!(given(&with_tables(HBA)).file("hba", certificate).problems(), [needs]);

    let tls = "client_tls_sslmode = \"allow\"\nclient_tls_key_file = \"k\"\nclient_tls_cert_file = \"c\"\n";
    let with_tls = |more: &str| {
        given(&with_tables(&format!("{HBA}{tls}{more}")))
            .file("hba", certificate)
            .file("k", PEM_KEY)
            .file("c", PEM_CERTIFICATE)
    };
    assert_eq!(with_tls("").problems(), [needs]);
    with_tls("client_tls_ca_file = \"c\"").config();
}

#[test]
fn rules_that_do_not_count_are_not_read() {
    let config = given(&with_tables("auth_hba_file = \"gone\"\nauth_ident_file = \"gone\"")).config();
    assert_eq!(config.hba, super::super::Hba::default());
    assert_eq!(files(&config, &given("").sources), [PathBuf::from("howdah.toml")]);
}
