//! Values where others read them: a shell's words, libpq's connection strings, PostgreSQL's configuration files, SQL.

use super::job::{Address, Source, Upstream};

/// One word of a POSIX shell.
///
/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02>
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// One value of a configuration file.
///
/// <https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-CONFIGURATION-FILE>
pub(super) fn setting(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// One literal of SQL, whatever `standard_conforming_strings` says.
///
/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE>
pub fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// One value of a connection string.
///
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE>
fn conninfo_value(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// How to connect to a source, without the password.
pub fn conninfo(source: &Source) -> String {
    conninfo_of(source, &[])
}

fn conninfo_of(source: &Source, others: &[Address]) -> String {
    let hosts: Vec<&str> =
        [&source.host].into_iter().chain(others.iter().map(|other| &other.host)).map(|host| &**host).collect();
    let ports: Vec<String> =
        [source.port].into_iter().chain(others.iter().map(|other| other.port)).map(|port| port.to_string()).collect();
    let mut text = format!(
        "host={} port={} user={} dbname={}",
        conninfo_value(&hosts.join(",")),
        ports.join(","),
        conninfo_value(&source.user),
        conninfo_value(&source.database)
    );
    if let Some(sslmode) = &source.sslmode {
        text += &format!(" sslmode={}", conninfo_value(sslmode));
    }
    text
}

/// A standby's `primary_conninfo`. It has the password, as the one that `pg_basebackup` writes. Where there are several
/// nodes, the one that takes writes is followed, as
/// <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS> says.
pub fn primary_conninfo(upstream: &Upstream) -> String {
    let mut text = conninfo_of(&upstream.source, &upstream.others);
    if !upstream.others.is_empty() {
        text += " target_session_attrs=primary";
    }
    text += &format!(" application_name={}", conninfo_value(&upstream.name));
    if let Some(password) = &upstream.source.password {
        text += &format!(" password={}", conninfo_value(&password.0));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{super::job::Password, *};

    /// What people put into passwords, and what attackers put into names.
    const AWKWARD: [&str; 8] =
        ["", "plain", "it's", r"back\slash'", "$(touch x) `id` $HOME", "a b\tc;d&e|f", "\"double\"", "'; DROP--"];

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in AWKWARD {
            let script = format!("printf %s {}", shell(text));
            let read = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(read.stdout).unwrap(), text);
        }
    }

    #[test]
    fn values_are_quoted_as_their_readers_want_them() {
        assert_eq!(setting(r"a'b\c"), r"'a''b\\c'");
        assert_eq!(literal(r"a'b\c"), r"E'a''b\\c'");
        assert_eq!(conninfo_value(r"a'b\c"), r"'a\'b\\c'");
    }

    #[test]
    fn a_password_is_in_the_standbys_settings_and_not_in_a_commands_arguments() {
        let source = Source {
            host: "db 1".into(),
            port: 5433,
            user: "o'neil".into(),
            database: "postgres".into(),
            password: Some(Password("p w".into())),
            sslmode: Some("verify-full".into()),
        };
        assert_eq!(conninfo(&source), r"host='db 1' port=5433 user='o\'neil' dbname='postgres' sslmode='verify-full'");
        let mut upstream = Upstream { source, name: "n1".into(), slot: None, others: Vec::new() };
        assert!(primary_conninfo(&upstream).ends_with(" application_name='n1' password='p w'"));
        upstream.others.push(Address { host: "db2".into(), port: 5434 });
        let whoever = primary_conninfo(&upstream);
        assert!(whoever.starts_with("host='db 1,db2' port=5433,5434 user="), "{whoever}");
        assert!(whoever.contains(" target_session_attrs=primary "), "{whoever}");
    }
}
