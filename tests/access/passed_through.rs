//! SCRAM verifiers: no password anywhere, and both sides are convinced.

use super::{proxy, refusal, sql, stored};

#[test]
fn a_clients_own_keys_open_servers_that_store_the_same_verifier() {
    sql("CREATE ROLE passing LOGIN PASSWORD 'right'");
    let verifier = stored("passing");
    let users = [super::FILED[0], ("passing", &*verifier)];
    for auth_type in ["scram-sha-256", "md5", "password"] {
        let proxy = proxy(auth_type, |config| config.users(&users));
        let client = proxy.client().user("passing", "right");
        for _ in 0..2 {
            assert_eq!(client.ask("SELECT current_user").unwrap(), "passing", "{auth_type}");
            proxy.console().ask("RECONNECT").unwrap();
        }
        // The keys outlive the generation that they were shown to.
        proxy.console().ask("RELOAD").unwrap();
        assert_eq!(client.ask("SELECT current_user").unwrap(), "passing", "{auth_type}");
    }
}

#[test]
fn keys_of_another_verifier_open_nothing_and_the_error_says_why() {
    sql("CREATE ROLE other_salt LOGIN PASSWORD 'right'");
    let verifier = stored("other_salt");
    sql("ALTER ROLE other_salt PASSWORD 'right'");
    assert_ne!(stored("other_salt"), verifier, "the same password, another salt");
    let proxy = proxy("scram-sha-256", |config| config.users(&[super::FILED[0], ("other_salt", &verifier)]));

    let told = refusal(proxy.client().user("other_salt", "right").ask("SELECT 1"));

    assert!(told.contains("another salt"), "{told}");
}

#[test]
fn a_verifier_alone_opens_nothing() {
    sql("CREATE ROLE unproven LOGIN PASSWORD 'right'");
    let verifier = stored("unproven");
    let proxy = proxy("trust", |config| config.users(&[super::FILED[0], ("unproven", &verifier)]));

    let told = refusal(proxy.client().user("unproven", "").ask("SELECT 1"));

    assert!(told.contains("no client has shown"), "{told}");
}

#[test]
fn what_one_user_has_shown_is_not_shown_in_anothers_name() {
    sql("CREATE ROLE forced LOGIN PASSWORD 'right'; CREATE ROLE forces LOGIN PASSWORD 'right'");
    let proxy = proxy("password", |config| {
        let config = config.set("auth_user", "\"asker\"");
        config.databases("[databases]\n\"*\" = {}\nforced = { dbname = \"postgres\", user = \"forced\" }\n")
    });

    // Both have the same password, so that only this keeps them apart.
    let told = refusal(proxy.client().database("forced").user("forces", "right").ask("SELECT current_user"));

    assert!(told.contains("no suitable secret for user \"forced\""), "{told}");
}
