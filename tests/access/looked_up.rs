//! `auth_query`: users that only PostgreSQL knows.

use howdah::demo::ProxyConfig;
use howdah_tests::{
    Proxy,
    raw::{Message, Raw, message, startup},
};

use super::{cluster, proxy, refusal, sql};

fn asking(config: ProxyConfig) -> ProxyConfig {
    config.set("auth_user", "\"asker\"")
}

#[test]
fn users_that_only_postgresql_knows_get_in_and_reach_their_servers() {
    sql("CREATE ROLE known_scram LOGIN PASSWORD 'right'; SET password_encryption = md5; \
         CREATE ROLE known_md5 LOGIN PASSWORD 'right'");
    for (auth_type, user) in
        [("md5", "known_scram"), ("md5", "known_md5"), ("scram-sha-256", "known_scram"), ("password", "known_md5")]
    {
        let proxy = proxy(auth_type, asking);
        let client = proxy.client().user(user, "right");
        assert_eq!(client.ask("SELECT current_user").unwrap(), user, "{auth_type}");
        // The second login finds the server open, and a third has one opened again.
        assert_eq!(client.ask("SELECT current_user").unwrap(), user, "{auth_type}");
        proxy.console().ask("RECONNECT").unwrap();
        assert_eq!(client.ask("SELECT current_user").unwrap(), user, "{auth_type}");
        let wrong = refusal(proxy.client().user(user, "wrong").ask("SELECT 1"));
        assert!(wrong.contains(&format!("password authentication failed for user \"{user}\"")), "{wrong}");
    }
}

#[test]
fn users_without_the_right_to_log_in_are_refused_as_if_there_were_none() {
    sql("CREATE ROLE no_login PASSWORD 'right'; CREATE ROLE no_password LOGIN; \
         CREATE ROLE in_time LOGIN PASSWORD 'right' VALID UNTIL '2100-01-01'; \
         CREATE ROLE for_ever LOGIN PASSWORD 'right' VALID UNTIL 'infinity'");
    for auth_type in ["md5", "scram-sha-256", "password"] {
        let proxy = proxy(auth_type, asking);
        for user in ["no_login", "no_password", "nobody", &"x".repeat(70)] {
            for password in ["right", "md5", ""] {
                let told = refusal(proxy.client().user(user, password).ask("SELECT 1"));
                let failed = told.contains(&format!("password authentication failed for user \"{user}\""));
                assert!(failed || told.contains("no password supplied"), "{auth_type}: {told}");
            }
        }
        for user in ["in_time", "for_ever"] {
            assert_eq!(proxy.client().user(user, "right").ask("SELECT 1").unwrap(), "1");
        }
    }
}

/// What the client is told in answer to its first message, and in answer to the first of SCRAM.
fn first_answers(proxy: &Proxy, user: &str) -> (Message, Message) {
    let mut raw = Raw::open(proxy.port());
    raw.send(&startup(&[("user", user), ("database", "postgres")])).unwrap();
    let asked = raw.next().unwrap();
    let first = "n,,n=,r=abcdefghijklmnopqrstuvwx";
    let mut body = b"SCRAM-SHA-256\0".to_vec();
    body.extend(u32::try_from(first.len()).unwrap().to_be_bytes());
    body.extend(first.bytes());
    raw.send(&message(b'p', &body)).unwrap();
    (asked, raw.next().unwrap())
}

/// Salt and iterations of a challenge.
fn parameters(challenge: &Message) -> (String, String) {
    let text = String::from_utf8(challenge.body[4..].to_vec()).unwrap();
    let value = |name: &str| text.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
    (value("s="), value("i="))
}

#[test]
fn who_exists_cannot_be_told_from_what_is_asked() {
    sql("CREATE ROLE exists_here LOGIN PASSWORD 'right'");
    for auth_type in ["md5", "scram-sha-256"] {
        let proxy = proxy(auth_type, asking);
        let (asked, challenge) = first_answers(&proxy, "exists_here");
        let (asked_nobody, challenge_nobody) = first_answers(&proxy, "exists_nowhere");
        assert_eq!(asked, asked_nobody, "{auth_type}");
        let ((salt, iterations), (no_salt, no_iterations)) = (parameters(&challenge), parameters(&challenge_nobody));
        assert_eq!((salt.len(), iterations), (no_salt.len(), no_iterations));
        let (_, again) = first_answers(&proxy, "exists_nowhere");
        assert_eq!(parameters(&again).0, no_salt, "a real user's salt does not change either");
        assert_ne!(parameters(&first_answers(&proxy, "other_nobody").1).0, no_salt);
    }
}

#[test]
fn a_changed_password_counts_after_one_login_that_failed() {
    sql("CREATE ROLE changes LOGIN PASSWORD 'old'");
    let proxy = proxy("scram-sha-256", asking);
    let ask = |password: &str| proxy.client().user("changes", password).ask("SELECT 1");
    ask("old").unwrap();
    sql("ALTER ROLE changes PASSWORD 'new'");
    proxy.console().ask("RECONNECT").unwrap();

    // What was found a moment ago may still be believed, but only until somebody fails by it.
    let _ = ask("new");

    assert_eq!(ask("new").unwrap(), "1", "the servers are entered with the new secret too");
    assert!(refusal(ask("old")).contains("password authentication failed"));
}

#[test]
fn a_reload_forgets_what_was_found_and_leaves_those_who_are_there_their_servers() {
    sql("CREATE ROLE stays LOGIN PASSWORD 'right'");
    let proxy = proxy("scram-sha-256", asking);
    let mut config = ProxyConfig::for_cluster(cluster(), proxy.port()).without_router();
    config = asking(config.set("pool_mode", "\"transaction\"").set("auth_type", "\"scram-sha-256\""));
    let config = config.users(&super::FILED);
    let client = proxy.client().user("stays", "right");
    assert_eq!(client.ask("SELECT 1").unwrap(), "1");
    sql("ALTER ROLE stays PASSWORD 'right'");

    proxy.reload(&config.clone().set("default_pool_size", "3")).unwrap();

    assert_eq!(client.ask("SELECT 1").unwrap(), "1", "the new verifier was found at once");
    proxy.reload(&config.set("default_pool_size", "4")).unwrap();
    proxy.console().ask("RECONNECT").unwrap();
    assert_eq!(client.ask("SELECT 1").unwrap(), "1");
}

#[test]
fn users_are_looked_up_by_a_function_in_a_database_of_its_own() {
    sql("CREATE DATABASE asked_for; CREATE ROLE plain_reader LOGIN PASSWORD 'read'; \
         CREATE ROLE by_function LOGIN PASSWORD 'right'; CREATE SCHEMA lookup; \
         CREATE FUNCTION lookup.find(wanted text, OUT name text, OUT secret text) RETURNS record \
         LANGUAGE sql SECURITY DEFINER SET search_path = '' \
         AS 'SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolname = wanted'; \
         REVOKE ALL ON FUNCTION lookup.find FROM public; \
         GRANT USAGE ON SCHEMA lookup TO plain_reader; GRANT EXECUTE ON FUNCTION lookup.find TO plain_reader");
    let users = [super::FILED[0], ("plain_reader", "read")];
    let proxy = proxy("scram-sha-256", |config| {
        config.users(&users).databases(
            "[databases]\n\"*\" = { auth_user = \"plain_reader\", auth_dbname = \"postgres\", \
             auth_query = \"SELECT * FROM lookup.find($1)\" }\n\
             postgres = {}\n",
        )
    });
    let client = |user: &str, password: &str| proxy.client().database("asked_for").user(user, password);

    let answer = client("by_function", "right").ask("SELECT current_user, current_database()").unwrap();
    assert_eq!(answer, "by_function|asked_for");
    assert!(refusal(client("by_function", "wrong").ask("SELECT 1")).contains("password authentication failed"));
    assert!(refusal(client("nobody", "right").ask("SELECT 1")).contains("password authentication failed"));
    let elsewhere = refusal(proxy.client().user("by_function", "right").ask("SELECT 1"));
    assert!(elsewhere.contains("password authentication failed"), "nobody is looked up for postgres: {elsewhere}");
}

#[test]
fn a_database_that_is_not_there_is_told_from_others_by_nobody_who_has_not_logged_in() {
    let proxy = proxy("scram-sha-256", asking);
    let told = refusal(proxy.client().database("not_there").user("somebody", "x").ask("SELECT 1"));
    assert!(told.contains("password authentication failed for user \"somebody\""), "{told}");
    let told = refusal(proxy.client().database("not_there").ask("SELECT 1"));
    assert!(told.contains("database \"not_there\" does not exist"), "{told}");
}

#[test]
fn a_look_up_that_fails_is_told_apart_from_a_wrong_password_and_tells_nothing_else() {
    sql("CREATE ROLE may_not LOGIN PASSWORD 'read'");
    let proxy =
        proxy("md5", |config| config.set("auth_user", "\"may_not\"").users(&[super::FILED[0], ("may_not", "read")]));
    let after = proxy.log_position();
    let mut raw = Raw::open(proxy.port());
    raw.send(&startup(&[("user", "somebody"), ("database", "postgres")])).unwrap();
    let told = raw.next().unwrap();
    assert_eq!((told.sqlstate(), told.text()), ("57P03".into(), "could not look up user \"somebody\"".into()));
    proxy.wait_for_log(after, "permission denied for table pg_authid", howdah_tests::PATIENCE).unwrap();
}
