//! What a new configuration changes, and what the console shows of one.

use super::{
    keys::{Key, proxy},
    types::Config,
};

/// One line of `SHOW CONFIG`, in PgBouncer's notation: seconds, 1 and 0, comma-separated lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key at the top of the file.
    pub key: &'static str,
    /// The value that counts.
    pub value: String,
    /// What it would be if nothing set it.
    pub default: String,
    /// Whether a reload can change it.
    pub changeable: bool,
}

/// All keys at the top of the file, by name. None of them is a secret.
pub fn describe(config: &Config) -> Vec<Setting> {
    let defaults = Config::default();
    let mut settings: Vec<Setting> = shown_keys()
        .map(|(key, show)| Setting {
            key: key.name,
            value: show(config),
            default: show(&defaults),
            changeable: !key.restart,
        })
        .collect();
    settings.sort_by_key(|setting| setting.key);
    settings
}

/// The keys that differ and that a running program cannot change, in the order of the reference.
pub fn restart_needed(old: &Config, new: &Config) -> Vec<&'static str> {
    let differing = shown_keys().filter(|(key, show)| key.restart && show(old) != show(new));
    differing.map(|(key, _)| key.name).collect()
}

fn shown_keys() -> impl Iterator<Item = (&'static Key, fn(&Config) -> String)> {
    proxy::TOP.keys().map(|key| (key, key.show.expect("keys at the top of the file are shown")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nothing_needs_a_restart_when_nothing_or_only_changeable_keys_change() {
        let old = Config::default();
        let new = Config { default_pool_size: 5, probe_interval: Duration::from_secs(1), ..old.clone() };

        assert_eq!(restart_needed(&old, &old), [] as [&str; 0]);
        assert_eq!(restart_needed(&old, &new), [] as [&str; 0]);
    }

    #[test]
    fn what_is_set_up_at_the_start_needs_a_restart() {
        let old = Config::default();
        let new = Config {
            listen_addr: vec!["*".into()],
            listen_port: 1,
            unix_socket_dir: None,
            unix_socket_mode: 0o700,
            workers: old.workers + 1,
            metrics_listen: Some(([127, 0, 0, 1], 9127).into()),
            pidfile: Some("/run/p".into()),
            log_format: super::super::types::LogFormat::Json,
            ..old.clone()
        };

        assert_eq!(
            restart_needed(&old, &new),
            [
                "listen_addr",
                "listen_port",
                "unix_socket_dir",
                "unix_socket_mode",
                "log_format",
                "metrics_listen",
                "workers",
                "pidfile"
            ]
        );
    }

    #[test]
    fn settings_are_shown_in_pgbouncers_notation_by_name() {
        let config = Config {
            admin_users: vec!["ann".into(), "bob".into()],
            query_wait_timeout: Duration::from_millis(1500),
            tcp_user_timeout: Some(Duration::from_secs(2)),
            ..Config::default()
        };
        let settings = describe(&config);
        let shown = |key: &str| {
            let setting = settings.iter().find(|setting| setting.key == key).unwrap();
            format!("{}|{}|{}", setting.value, setting.default, setting.changeable)
        };

        assert!(settings.is_sorted_by_key(|setting| setting.key));
        assert_eq!(shown("listen_port"), "6432|6432|false");
        assert_eq!(shown("query_wait_timeout"), "1.5|120|true");
        assert_eq!(shown("probe_interval"), "0.2|0.2|true");
        assert_eq!(shown("tcp_user_timeout"), "2000|0|true");
        assert_eq!(shown("tcp_keepalive"), "1|1|true");
        assert_eq!(shown("admin_users"), "ann,bob||true");
        assert_eq!(shown("auth_type"), "md5|md5|true");
        assert_eq!(shown("server_check_query"), "<empty>|<empty>|true");
        assert_eq!(shown("unix_socket_mode"), "0777|0777|false");
    }

    #[test]
    fn what_is_shown_can_be_written_into_a_file_again() {
        use super::super::load::{Sources, load_with};
        let tables = "[clusters.main]\nnodes = [{ name = \"n\", host = \"h\" }]\n[databases]\n\"*\" = {}\n";
        let load = |keys: &str| {
            let text = format!("{keys}{tables}");
            let sources = Sources { file: Some("f".into()), ..Sources::default() };
            load_with(&sources, &|_| Ok(text.clone().into_bytes())).unwrap()
        };
        let config =
            load("auth_type = \"trust\"\nprobe_timeout = \"70ms\"\nlisten_addr = [\"a\", \"b\"]\ntcp_keepcnt = 3\n");

        let written = |setting: &Setting| format!("{} = {:?}\n", setting.key, setting.value);
        // Text is accepted for every key; a socket address is the one that cannot be empty.
        let keys: String = describe(&config).iter().filter(|s| s.key != "metrics_listen").map(written).collect();

        assert_eq!(load(&keys), config);
    }
}
