//! The keys at the top of our file.

use super::{
    super::{
        files::Files,
        page::Page,
        value::{self, Value, list, string},
    },
    Conf,
    auth::Auth,
    conf,
};
use crate::config;

/// The port when none is set.
const PORT: &str = "9999";

/// Clients at once when nothing is set.
const NUM_INIT_CHILDREN: &str = "32";

/// The name of our file with the process id: pgpool-II's is in use until it is gone.
const PIDFILE: &str = "howdah.pid";

pub(super) fn write(page: &mut Page, conf: &Conf, auth: &Auth, files: &Files<'_>) {
    write_listening(page, conf);
    auth.write(page, conf);
    write_tls(page, conf, files);
    page.blank();
    write_pools(page, conf);
    write_times(page, conf);
    for key in ["log_connections", "log_disconnections"] {
        if let Some(value) = conf.take(key) {
            page.keep(key, key, &conf::flag(value).to_string());
        }
    }
    if let Some(setting) = conf.setting("pid_file_name").filter(|setting| !setting.value.is_empty()) {
        let found = Files::from_folder(&setting.value, files.file);
        let path = std::path::PathBuf::from(files.named(&setting.value, &found)).with_file_name(PIDFILE);
        page.change("pid_file_name", "it has another name, since pgpool-II's is in use as long as both run");
        page.line(&format!("pidfile = {}", string(&path.display().to_string())));
    }
}

fn write_listening(page: &mut Page, conf: &Conf) {
    page.keep("listen_addresses", "listen_addr", &list(conf.take("listen_addresses").unwrap_or("localhost")));
    set(page, "port", "listen_port", conf.text("port").unwrap_or(PORT));
    if let Some(folders) = ["socket_dir", "unix_socket_directories"].iter().filter_map(|key| conf.take(key)).last() {
        let mut folders = folders.split(',').map(str::trim);
        let first = folders.next().unwrap_or_default();
        if folders.next().is_some() {
            page.change("unix_socket_directories", "there is one socket, in the first of the directories");
        }
        page.keep("socket_dir", "unix_socket_dir", &string(first));
    }
    if let Some(mode) = conf.text("unix_socket_permissions") {
        set(page, "unix_socket_permissions", "unix_socket_mode", mode);
    }
}

/// One key for both sides becomes two.
fn write_tls(page: &mut Page, conf: &Conf, files: &Files<'_>) {
    let path = |key: &str| {
        let setting = conf.setting(key).filter(|setting| !setting.value.is_empty())?;
        let found = Files::from_folder(&setting.value, files.file);
        Some(string(&files.named(&setting.value, &found)))
    };
    let (key, certificate, authorities) = (path("ssl_key"), path("ssl_cert"), path("ssl_ca_cert"));
    if !conf.flag("ssl", false) {
        page.keep("ssl", "server_tls_sslmode", "\"disable\"");
        let unused = conf.present(&["ssl_key", "ssl_cert", "ssl_ca_cert"]);
        if !unused.is_empty() {
            page.drop_all(&unused, "they were not used, since `ssl` is off");
        }
        return;
    }
    match (key, certificate) {
        (Some(key), Some(certificate)) => {
            page.keep("ssl", "client_tls_sslmode", "\"allow\"");
            page.keep("ssl_key", "client_tls_key_file", &key);
            page.keep("ssl_cert", "client_tls_cert_file", &certificate);
        }
        _ => page.change("ssl", "without `ssl_key` and `ssl_cert` there is no TLS with clients"),
    }
    match authorities {
        Some(authorities) => {
            page.change("ssl_ca_cert", "the nodes must speak TLS, and their certificates are verified");
            page.line("server_tls_sslmode = \"verify-ca\"");
            page.line(&format!("server_tls_ca_file = {authorities}"));
        }
        None => page.line("server_tls_sslmode = \"prefer\""),
    }
}

fn write_pools(page: &mut Page, conf: &Conf) {
    page.comment(
        "In transaction mode fewer servers serve more clients, if they do without what outlives a transaction.",
    );
    page.line("pool_mode = \"session\"");
    let clients = conf.text("num_init_children").unwrap_or(NUM_INIT_CHILDREN);
    page.change(
        "num_init_children",
        "a client too many is refused at once, not kept waiting; each client may have a server of its own, as it has \
         with pgpool-II, for each database, user and node",
    );
    for key in ["max_client_conn", "default_pool_size"] {
        line(page, key, clients);
    }
    match conf.take("connection_cache").map(conf::flag) {
        Some(false) => page.keep("connection_cache", "server_lifetime", "0"),
        Some(true) => page.note_kept("connection_cache"),
        None => {}
    }
    if let Some(queries) = conf.take("reset_query_list") {
        write_reset(page, queries);
    }
}

/// Between clients no transaction is open, so the usual `ABORT` is not needed; and DISCARD ALL, which
/// does all that other statements could, must be alone.
/// <https://www.postgresql.org/docs/current/sql-discard.html>
fn write_reset(page: &mut Page, queries: &str) {
    let queries = queries.split(';').map(str::trim).filter(|query| !query.is_empty());
    let needed: Vec<&str> =
        queries.filter(|query| !["abort", "rollback"].contains(&query.to_ascii_lowercase().as_str())).collect();
    let all = needed.iter().find(|query| query.to_ascii_lowercase().starts_with("discard all"));
    let query = all.map_or_else(|| needed.join("; "), |query| (*query).to_owned());
    page.keep("reset_query_list", "server_reset_query", &string(&query));
}

fn write_times(page: &mut Page, conf: &Conf) {
    let times = [
        ("connection_life_time", "server_idle_timeout", 1000),
        ("authentication_timeout", "client_login_timeout", 1000),
        ("connect_timeout", "server_connect_timeout", 1),
        ("client_idle_limit", "client_idle_timeout", 1000),
        // pgpool-II's limit holds inside of transactions as well.
        ("client_idle_limit", "idle_transaction_timeout", 1000),
    ];
    for (theirs, ours, bare_ms) in times {
        let Some(text) = conf.text(theirs) else { continue };
        match conf::millis(text, bare_ms) {
            Ok(millis) => set(page, theirs, ours, &conf::seconds(millis)),
            Err(refused) => page.drop(theirs, text, &refused.0),
        }
    }
    if conf.text("connection_life_time").is_none() {
        page.comment("pgpool-II's default.");
        page.line("server_idle_timeout = 0");
    }
}

/// A key of ours with a value that may have to be bent into its range.
fn set(page: &mut Page, theirs: &str, ours: &str, text: &str) {
    match read(ours, text) {
        Ok(Value::Same(toml)) => page.keep(theirs, ours, &toml),
        Ok(Value::Near(toml, what)) => {
            page.change(theirs, &what);
            page.line(&format!("{ours} = {toml}"));
        }
        Ok(Value::Unset) => {}
        Err(refused) => page.drop(theirs, text, &refused.0),
    }
}

/// The same without a word about it.
fn line(page: &mut Page, ours: &str, text: &str) {
    if let Ok(Value::Same(toml) | Value::Near(toml, _)) = read(ours, text) {
        page.line(&format!("{ours} = {toml}"));
    }
}

fn read(ours: &str, text: &str) -> Result<Value, value::Refused> {
    let form = config::form("", ours).unwrap_or(config::Form::Other);
    value::read(text, &form)
}
