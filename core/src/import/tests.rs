use std::{collections::BTreeMap, fs, io, path::Path};

use super::*;

mod keys;
mod snapshots;

/// Stand-ins of the right kind.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/// What a password looks like in every test; no message may contain it.
const PASSWORD: &str = "hunter2";

/// The files of a machine on which something is imported.
#[derive(Clone, Debug, Default)]
struct Machine(BTreeMap<PathBuf, Vec<u8>>);

impl Machine {
    fn file(mut self, path: &str, contents: &str) -> Self {
        self.0.insert(path.into(), contents.into());
        self
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path: PathBuf = path.components().collect();
        self.0.get(&path).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    /// Imports the file to its own folder.
    fn import(&self, kind: Kind, file: &str) -> Result<Converted, String> {
        let read = |path: &Path| self.read(path);
        let folder = Path::new(file).parent().unwrap();
        convert(kind, &Files::new(&read, Path::new("/root"), Path::new(file), folder))
            .map_err(|error| error.to_string())
    }

    /// Imports the file, which makes a good configuration.
    #[track_caller]
    fn good(&self, kind: Kind, file: &str) -> (Converted, Config) {
        let converted = self.import(kind, file).unwrap_or_else(|error| panic!("{error}"));
        let place = Path::new(file).with_file_name(OUTPUT);
        let userlist = converted.userlist.clone().map(|list| (place.with_file_name(USERLIST), list.contents));
        let config = check(&place, &converted.text, userlist.as_ref(), &|path| self.read(path));
        let config = config.unwrap_or_else(|errors| panic!("{errors}\n{}", converted.text));
        (converted, config)
    }
}

/// A pgbouncer.ini with this text, and the files that it may name.
fn pgbouncer(text: &str) -> Machine {
    Machine::default()
        .file("/etc/pgbouncer/pgbouncer.ini", text)
        .file("/etc/pgbouncer/userlist.txt", &format!("\"ann\" \"{PASSWORD}\"\n\"operator\" \"{PASSWORD}\"\n"))
        .file("/etc/pgbouncer/tls/server.key", KEY)
        .file("/etc/pgbouncer/tls/server.crt", CERTIFICATE)
        .file("/etc/ssl/nodes-ca.pem", CERTIFICATE)
}

/// A pgpool.conf with this text, and the files that it may name.
fn pgpool(text: &str) -> Machine {
    Machine::default()
        .file("/etc/pgpool2/pgpool.conf", text)
        .file("/etc/pgpool2/pool_passwd", &format!("ann:TEXT{PASSWORD}\nbob:AESabc\n"))
        .file("/etc/pgpool2/server.key", KEY)
        .file("/etc/pgpool2/server.crt", CERTIFICATE)
        .file("/etc/ssl/nodes-ca.pem", CERTIFICATE)
}

#[track_caller]
fn from_pgbouncer(text: &str) -> (Converted, Config) {
    pgbouncer(text).good(Kind::Pgbouncer, "/etc/pgbouncer/pgbouncer.ini")
}

#[track_caller]
fn from_pgpool(text: &str) -> (Converted, Config) {
    pgpool(text).good(Kind::Pgpool, "/etc/pgpool2/pgpool.conf")
}

/// The shortest file of PgBouncer's around these settings.
fn with_database(settings: &str) -> String {
    format!("[pgbouncer]\nauth_file = userlist.txt\n{settings}\n[databases]\n* = host=a\n")
}

#[test]
fn hosts_become_nodes_and_the_same_hosts_one_cluster() {
    let (_, config) = from_pgbouncer(
        "[pgbouncer]\nauth_file = userlist.txt\n[databases]\na = host=x,y\nb = host=y,x dbname=c\nd = host=x\n\
         e = host=x port=5433\nf = host=x,x",
    );

    let cluster = |database: &str| config.databases[database].cluster.to_string();
    assert_eq!(["a", "b", "d", "e", "f"].map(cluster), ["a", "a", "x", "x-5433", "x"]);
    let nodes = |cluster: &str| config.clusters[cluster].nodes.iter().map(|n| n.host.to_string()).collect::<Vec<_>>();
    assert_eq!([nodes("a"), nodes("x")], [vec!["x", "y"], vec!["x"]]);
    assert!(config.plugins.router.is_some(), "reads of the cluster `a` have a choice");
}

#[test]
fn one_host_is_one_cluster_without_a_policy() {
    let (_, config) = from_pgbouncer(&with_database(""));

    assert_eq!(config.clusters.keys().collect::<Vec<_>>(), ["main"]);
    assert_eq!(config.plugins.router, None);
}

#[test]
fn a_database_without_a_host_is_behind_pgbouncers_own_socket_folder() {
    let host = |settings: &str| {
        let (_, config) =
            from_pgbouncer(&format!("[pgbouncer]\nauth_file = userlist.txt\n{settings}\n[databases]\na ="));
        config.clusters["main"].nodes[0].host.to_string()
    };

    assert_eq!(host(""), "/tmp");
    assert_eq!(host("unix_socket_dir = /run/postgresql"), "/run/postgresql");
}

#[test]
fn a_password_is_in_the_file_and_in_no_message() {
    let text = format!(
        "{}b = host=h user=u password='{PASSWORD}' passwort={PASSWORD}\n[users]\nu = secret={PASSWORD}\n",
        with_database(&format!("auth_ldap_options = ldapbindpasswd={PASSWORD}\nauth_type = md5"))
    );
    let (converted, config) = from_pgbouncer(&text);

    assert_eq!(config.databases["b"].password.as_deref(), Some(PASSWORD));
    assert!(converted.holds_secrets);
    let shown = converted.text.lines().filter(|line| line.contains(PASSWORD)).collect::<Vec<_>>();
    assert!(shown.iter().all(|line| line.contains(&format!("password = \"{PASSWORD}\""))), "{shown:?}");
    let summary = converted.tally.summary("PgBouncer", Path::new("f"), &[], true);
    assert!(!summary.contains(PASSWORD), "{summary}");
}

#[test]
fn nobody_gets_in_who_could_not_before() {
    let types = ["", "md5", "scram-sha-256", "plain", "trust", "cert", "hba", "pam", "ldap"];
    for auth_type in types {
        let line = if auth_type.is_empty() { String::new() } else { format!("auth_type = {auth_type}\n") };
        let (_, config) = from_pgbouncer(&format!("[pgbouncer]\n{line}[databases]\n* = host=a"));
        let asks = config.auth_type != config::AuthType::Trust;
        assert!(config.auth_file.is_some() || !matches!(auth_type, "trust" | ""), "{auth_type}");
        assert!(asks || config.auth_file.is_some(), "{auth_type}: everybody gets in");
        assert_eq!(config.secrets.len(), 0, "{auth_type}: nobody is listed");
    }
    let (_, any) = from_pgbouncer("[pgbouncer]\nauth_type = any\n[databases]\n* = host=a");
    assert_eq!((any.auth_type, any.auth_file), (config::AuthType::Trust, None), "everybody got in before");
}

#[test]
fn users_and_rules_come_along() {
    let text = "[pgbouncer]\nauth_type = hba\nauth_file = userlist.txt\nauth_hba_file = hba.conf\n\
                auth_ident_file = ident.conf\nauth_user = operator\nauth_query = SELECT u, p FROM f($1)\n\
                auth_dbname = lookup\npeer_id = 3\n[databases]\nlookup = host=a\nb = host=a auth_dbname=gone\n\
                [peers]\n4 = host=h port=6433 pool_size=2\n";
    let machine = pgbouncer(text)
        .file("/etc/pgbouncer/hba.conf", "local all all peer map=m\nhost all all all md5\n")
        .file("/etc/pgbouncer/ident.conf", "m /^(.*)$ \\1\n");

    let (converted, config) = machine.good(Kind::Pgbouncer, "/etc/pgbouncer/pgbouncer.ini");

    assert_eq!((config.auth_type, config.hba.rules.len()), (config::AuthType::Hba, 2));
    assert_eq!(config.auth_user.as_deref(), Some("operator"));
    assert_eq!((&*config.auth_query, config.auth_dbname.as_deref()), ("SELECT u, p FROM f($1)", Some("lookup")));
    assert_eq!((config.peer_id, &*config.peers[&4].host, config.peers[&4].port), (3, "h", 6433));
    let dropped: Vec<_> = converted.tally.dropped.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(dropped, ["databases.b.auth_dbname", "peers.4.pool_size"]);
}

#[test]
fn the_monitor_logs_in_as_somebody_whose_password_is_known() {
    let control = |text: &str| {
        let (_, config) = from_pgbouncer(text);
        let cluster = &config.clusters.values().next().unwrap();
        let password = cluster.control_password.as_deref().map(str::to_owned);
        (cluster.control_user.clone(), password, cluster.control_database.clone())
    };
    let given = |user: &str, password: Option<&str>, database: &str| {
        (user.to_owned(), password.map(str::to_owned), database.to_owned())
    };
    let auth = "[pgbouncer]\nauth_file = userlist.txt\n";

    assert_eq!(control(&format!("{auth}[databases]\n* = host=a")), given("ann", None, "postgres"));
    assert_eq!(
        control(&format!("{auth}stats_users = nobody, operator\n[databases]\n* = host=a")),
        given("operator", None, "postgres")
    );
    assert_eq!(
        control(&format!("{auth}[databases]\n* = host=a\nb = host=a user=u password=p dbname=d")),
        given("u", Some("p"), "d")
    );
    assert_eq!(
        control(&format!("{auth}[databases]\nb = host=a user=u password=p auth_user=asker")),
        given("asker", None, "postgres")
    );
    assert_eq!(control("[databases]\n* = host=a"), given("postgres", None, "postgres"));
}

#[test]
fn what_pgbouncer_takes_is_imported_however_odd() {
    let odd = [
        "a = host=::1 port=0",
        "a = host=,, port=x",
        "a = host='b c' dbname='d\"e'",
        "\"\u{1}\t'\\\" = host=a",
        "a.b-c = pool_size=1 min_pool_size=9",
        "a = pool_size=-1 min_pool_size=99 reserve_pool_size=99999999999",
        "a = host=@x connect_query='--'",
        "a = pool_mode=nonsense max_db_connections=many",
        "größe = host=größe",
    ];
    for database in odd {
        from_pgbouncer(&format!("[pgbouncer]\nauth_file = userlist.txt\n[databases]\n{database}\n"));
    }
    for setting in [
        "listen_port = 0",
        "listen_port = x",
        "listen_addr =",
        "default_pool_size = 0",
        "min_pool_size = 100",
        "max_client_conn = -5",
        "query_timeout = 1e300",
        "stats_period = 0",
        "auth_type = nonsense",
        "pidfile =",
        "unix_socket_dir = @x",
        "unix_socket_mode = 9",
        "server_check_query =",
        "tcp_keepcnt = 1000",
        "nonsense = 1",
    ] {
        from_pgbouncer(&with_database(setting));
    }
}

#[test]
fn what_cannot_be_imported_is_refused_with_its_place() {
    let table = [
        ("[pgbouncer]\n", "there is no database in [databases], or only `howdah`, which is the console's name"),
        (
            "[databases]\nhowdah = host=a",
            "there is no database in [databases], or only `howdah`, which is the console's name",
        ),
        ("[databases]\npgbouncer = host=a", "2: the console has this database's name"),
        ("[databases]\n\"\" = host=a", "2: neither a section nor `key = value`"),
        ("[databases]\na = host", "2: a connection parameter without `=`"),
        ("[database]\na = host=b", "2: PgBouncer has no section [database]"),
    ];
    for (text, expected) in table {
        let refused = pgbouncer(text).import(Kind::Pgbouncer, "/etc/pgbouncer/pgbouncer.ini").err().unwrap();
        assert!(refused.starts_with("/etc/pgbouncer/pgbouncer.ini:") && refused.ends_with(expected), "{refused}");
    }
}

#[test]
fn other_ways_to_replicate_are_refused() {
    for mode in [
        "backend_clustering_mode = 'native_replication'",
        "backend_clustering_mode = snapshot_isolation",
        "replication_mode = on",
        "master_slave_mode = on\nmaster_slave_sub_mode = 'slony'",
    ] {
        let text = format!("backend_hostname0 = 'a'\n{mode}\n");
        let refused = pgpool(&text).import(Kind::Pgpool, "/etc/pgpool2/pgpool.conf").err().unwrap();
        assert!(refused.ends_with("Howdah works with streaming replication"), "{refused}");
    }
    from_pgpool("backend_hostname0 = 'a'\nmaster_slave_mode = on\nmaster_slave_sub_mode = 'stream'\n");
}

#[test]
fn what_pgpool_takes_is_imported_however_odd() {
    for odd in [
        "port = 0\nnum_init_children = 0",
        "num_init_children = 99999999",
        "listen_addresses = ''",
        "client_idle_limit = 5 fortnights",
        "client_idle_limit = 9999999999999",
        "connect_timeout = 1ms",
        "backend_weight0 = -1",
        "backend_weight0 = nan",
        "backend_port0 = 99999",
        "ssl = on",
        "pool_passwd = ''",
        "pool_passwd = 'missing'",
        "enable_pool_hba = on",
        "delay_threshold = 0\ndelay_threshold_by_time = 0",
        "delay_threshold = many\ndelay_threshold_by_time = 999d",
        "database_redirect_preference_list = 'a,b:c,:1,d:primary,d:standby'",
        "write_function_list = '\\\\d,a+'",
        "unix_socket_permissions = 0777",
        "sr_check_user = ''",
        "reset_query_list = ''",
    ] {
        let lines = odd.replace(" fortnights", "fortnights");
        from_pgpool(&format!("backend_hostname0 = 'a'\n{lines}\n"));
    }
}

#[test]
fn the_users_of_pool_passwd_may_log_in() {
    let (converted, config) = from_pgpool("backend_hostname0 = 'a'\n");

    assert_eq!(config.auth_type, config::AuthType::ScramSha256);
    assert_eq!(config.secrets.get("ann").map(|secret| &**secret), Some(PASSWORD));
    assert!(!config.secrets.contains_key("bob"));
    assert!(converted.tally.to_do.iter().any(|what| what.contains("bob")), "{:?}", converted.tally.to_do);
    assert!(!converted.text.contains(PASSWORD));
}

#[test]
fn a_file_tells_whose_it_is() {
    let guess = |text: &str| {
        let machine = Machine::default().file("/f", text);
        let read = |path: &Path| machine.read(path);
        guess(&Files::new(&read, Path::new("/"), Path::new("/f"), Path::new(""))).map_err(|error| error.to_string())
    };

    assert_eq!(guess("; c\n\n[databases]\n"), Ok(Kind::Pgbouncer));
    assert_eq!(guess("%include x\n"), Ok(Kind::Pgbouncer));
    assert_eq!(guess("# [c]\nport = 9999\nbackend_hostname0 = 'a'\n"), Ok(Kind::Pgpool));
    assert_eq!(
        guess("a = 1\n"),
        Err("/f: neither PgBouncer's nor pgpool-II's configuration; --kind says whose it is".into())
    );
}

/// A folder that goes with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("howdah-import-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn options(&self, text: &str) -> ImportOptions {
        let file = self.0.join("pgbouncer.ini");
        fs::write(&file, text).unwrap();
        ImportOptions { file, output: self.0.join("howdah.toml"), kind: None, force: false }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn nothing_is_overwritten_unless_it_is_asked_for() {
    let folder = Folder::new("overwrite");
    let options = folder.options("[databases]\na = host=b\n");
    fs::write(&options.output, "mine").unwrap();

    assert!(matches!(run(&options), Err(ImportError::Exists { .. })));
    assert_eq!(fs::read_to_string(&options.output).unwrap(), "mine");
    assert!(!folder.0.join(USERLIST).exists(), "nothing is written when something cannot be");

    let imported = run(&ImportOptions { force: true, ..options.clone() }).unwrap();
    assert_eq!(fs::read_to_string(&options.output).unwrap(), imported.text);
    assert_eq!(imported.check().unwrap().databases.len(), 1);

    fs::write(folder.0.join(USERLIST), "\"ann\" \"x\"\n").unwrap();
    run(&ImportOptions { force: true, ..options }).unwrap();
    let users = fs::read_to_string(folder.0.join(USERLIST)).unwrap();
    assert_eq!(users, "\"ann\" \"x\"\n", "a list of users is not replaced by an empty one");
}

#[test]
fn a_file_with_passwords_is_its_owners_alone() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = Folder::new("modes");
    let options = folder.options("[databases]\na = host=b user=c password=d\n");
    fs::write(&options.output, "mine").unwrap();

    run(&ImportOptions { force: true, ..options.clone() }).unwrap();

    assert_eq!(mode(&options.output), 0o600);
    assert_eq!(mode(&folder.0.join(USERLIST)), 0o600);
}

#[test]
fn for_standard_output_nothing_is_written() {
    let folder = Folder::new("stdout");
    let options = folder.options("[databases]\na = host=b\n");

    let imported = run(&ImportOptions { output: "-".into(), ..options }).unwrap();

    assert_eq!(imported.file, None);
    assert!(imported.check().is_ok());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}
