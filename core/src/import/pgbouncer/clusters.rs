//! Hosts become nodes, and those of one database a cluster. Databases with the same hosts share it.

use std::collections::BTreeSet;

use super::{
    super::{
        page::Page,
        users::{self, ControlUser},
        value::{self, string},
    },
    auth::Auth,
    source::{Listed, Source},
};

/// Where PgBouncer looks for a node's socket when neither the database nor `unix_socket_dir` says.
const SOCKETS: &str = "/tmp";

/// The port when none is said.
const PORT: u16 = 5432;

/// The name of the only cluster.
const ONLY: &str = "main";

/// Said when the only node of a cluster could belong to another one.
const LONE_STANDBY: &str = "make one cluster of those whose nodes are standbys of each other's; PgBouncer sends a host \
    whatever comes, Howdah sends a standby nothing but reads";

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
}

/// Nodes that databases share.
pub(super) struct Cluster<'a> {
    pub name: String,
    pub nodes: Vec<(String, Address)>,
    /// Those that are on it.
    pub databases: Vec<&'a Listed>,
    /// What is different about it.
    remarks: BTreeSet<&'static str>,
}

/// All clusters.
pub(super) struct Clusters<'a>(Vec<Cluster<'a>>);

impl<'a> Clusters<'a> {
    pub(super) fn of(source: &'a Source) -> Self {
        let mut clusters: Vec<(BTreeSet<Address>, Cluster<'a>)> = Vec::new();
        for database in &source.databases {
            let (addresses, remarks) = addresses(database, source);
            let set: BTreeSet<Address> = addresses.iter().cloned().collect();
            let place = clusters.iter().position(|(other, _)| *other == set).unwrap_or_else(|| {
                let nodes = name_nodes(addresses);
                clusters.push((
                    set,
                    Cluster { name: String::new(), nodes, databases: Vec::new(), remarks: BTreeSet::new() },
                ));
                clusters.len() - 1
            });
            clusters[place].1.databases.push(database);
            clusters[place].1.remarks.extend(remarks);
        }
        let mut clusters: Vec<Cluster<'a>> = clusters.into_iter().map(|(_, cluster)| cluster).collect();
        name_clusters(&mut clusters);
        Self(clusters)
    }

    /// The name of a database's cluster.
    pub(super) fn name_for(&self, database: &Listed) -> &str {
        let has = |cluster: &&Cluster<'_>| cluster.databases.iter().any(|other| other.name == database.name);
        self.0.iter().find(has).map_or(ONLY, |cluster| &cluster.name)
    }

    /// Whether there is more than one.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Whether some statement could go to more than one node.
    pub(super) fn any_has_choice(&self) -> bool {
        self.0.iter().any(|cluster| cluster.nodes.len() > 1)
    }

    /// Writes all of them; whether a password is among what was written.
    pub(super) fn write(&self, page: &mut Page, auth: &Auth, source: &Source) -> bool {
        let mut users: Vec<(ControlUser, Vec<&str>)> = Vec::new();
        if self.0.iter().filter(|cluster| cluster.nodes.len() == 1).count() > 1 {
            page.blank();
            page.change("clusters", LONE_STANDBY);
        }
        for cluster in &self.0 {
            let user = cluster.control_user(auth, source);
            cluster.write(page, &user, users.is_empty());
            match users.iter_mut().find(|(other, _)| other.name == user.name) {
                Some((_, clusters)) => clusters.push(&cluster.name),
                None => users.push((user, vec![&cluster.name])),
            }
        }
        for (user, clusters) in &users {
            user.ask_for(page, clusters);
        }
        users.iter().any(|(user, _)| user.password.is_some())
    }
}

impl Cluster<'_> {
    fn write(&self, page: &mut Page, user: &ControlUser, is_first: bool) {
        page.heading(&["clusters", &self.name]);
        for what in &self.remarks {
            page.change(&format!("clusters.{}", self.name), what);
        }
        page.line("nodes = [");
        for (name, address) in &self.nodes {
            let (name, host) = (string(name), string(&address.host));
            page.line(&format!("  {{ name = {name}, host = {host}, port = {} }},", address.port));
        }
        page.line("]");
        page.note_kept(&format!("host and port of {}", names(&self.databases)));
        // What holds for all of them is said once.
        if is_first {
            page.change("control_user", users::WHY);
        }
        user.write(page);
    }

    /// `auth_user` asks servers questions already; else a user that PgBouncer logs in as with a password,
    /// else one whose password is in `auth_file`.
    fn control_user(&self, auth: &Auth, source: &Source) -> ControlUser {
        let asks = self.databases.iter().find_map(|database| database.pair("auth_user"));
        if let Some(user) = asks.or_else(|| source.value("auth_user")) {
            return ControlUser::new(user);
        }
        let forced = self.databases.iter().filter_map(|database| {
            let user = database.pair("user")?;
            let dbname = database.pair("dbname").unwrap_or(&database.name);
            let database_name = (dbname != "*").then(|| dbname.to_owned());
            let password = database.pair("password").map(str::to_owned);
            Some(ControlUser { name: user.to_owned(), password, database: database_name })
        });
        let forced: Vec<ControlUser> = forced.collect();
        let with_password = forced.iter().find(|user| user.password.is_some() || auth.secrets.contains_key(&user.name));
        if let Some(user) = with_password {
            return user.clone();
        }
        let operators: Vec<&str> = ["admin_users", "stats_users"]
            .iter()
            .filter_map(|key| source.value(key))
            .flat_map(|list| list.split(',').map(str::trim))
            .collect();
        let listed = ControlUser::among(&auth.secrets, &operators);
        listed.or_else(|| forced.into_iter().next()).unwrap_or_default()
    }
}

/// Where a database is, and what is different about that.
fn addresses(database: &Listed, source: &Source) -> (Vec<Address>, BTreeSet<&'static str>) {
    let mut remarks = BTreeSet::new();
    let port = database.pair("port").and_then(|port| port.trim().parse().ok()).filter(|port| *port != 0);
    let port = port.unwrap_or_else(|| {
        if database.pair("port").is_some() {
            remarks.insert("its port was none, so it is 5432 now");
        }
        PORT
    });
    let sockets = source.value("unix_socket_dir").unwrap_or(SOCKETS);
    let hosts = database.pair("host").unwrap_or_else(|| {
        remarks.insert("no host was set, which means the unix socket in PgBouncer's own `unix_socket_dir`");
        sockets
    });
    let mut addresses: Vec<Address> = Vec::new();
    for host in hosts.split(',').map(str::trim).filter(|host| !host.is_empty()) {
        if host.starts_with('@') {
            remarks.insert("there are no abstract sockets; this is the folder of the same name");
        }
        let address = Address { host: host.trim_start_matches('@').to_owned(), port };
        if !address.host.is_empty() && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        addresses.push(Address { host: SOCKETS.to_owned(), port });
    }
    if addresses.len() > 1 {
        remarks.insert(
            "its hosts have to be one primary and its streaming standbys; Howdah asks them which is which, and \
             leaves out those that do not answer. Each pool is one for each of them",
        );
    }
    (addresses, remarks)
}

fn name_nodes(addresses: Vec<Address>) -> Vec<(String, Address)> {
    let mut taken = BTreeSet::new();
    let named = addresses.into_iter().map(|address| {
        let name = unique(&mut taken, [label(&address.host), with_port(&address)]);
        (name, address)
    });
    named.collect()
}

/// The only one is `main`; others are called like their node, or like the first of their databases.
fn name_clusters(clusters: &mut [Cluster<'_>]) {
    if let [only] = clusters {
        only.name = ONLY.to_owned();
        return;
    }
    let mut taken = BTreeSet::new();
    for cluster in clusters {
        let database = cluster.databases.iter().find(|database| database.name != "*");
        let database = database.map_or_else(|| ONLY.to_owned(), |database| name_of(&database.name));
        cluster.name = match cluster.nodes.as_slice() {
            [(node, address)] => unique(&mut taken, [node.clone(), with_port(address)]),
            _ => unique(&mut taken, [database.clone(), format!("{database}-nodes")]),
        };
    }
}

/// A host's first label; an address as a whole.
fn label(host: &str) -> String {
    if host.starts_with('/') {
        return "local".to_owned();
    }
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    name_of(if is_address { host } else { host.split('.').next().unwrap_or(host) })
}

fn with_port(address: &Address) -> String {
    name_of(&format!("{}-{}", label(&address.host), address.port))
}

/// The longest name that is made; what makes it unique still has room behind it.
const NAME_MAX_BYTES: usize = 50;

/// Letters, digits, `_` and `-` that are like the text.
fn name_of(text: &str) -> String {
    let letters = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' });
    let name: String = letters.take(NAME_MAX_BYTES).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "node".to_owned() } else { name.to_owned() }
}

/// The first of the names that is not taken, or the last with a number.
fn unique(taken: &mut BTreeSet<String>, wanted: [String; 2]) -> String {
    let numbered = (2..).map(|number| format!("{}-{number}", wanted[1]));
    let free = wanted.iter().cloned().chain(numbered).find(|name| !taken.contains(name));
    let name = free.expect("there is no end of numbers");
    taken.insert(name.clone());
    name
}

fn names(databases: &[&Listed]) -> String {
    let names: Vec<_> = databases.iter().map(|database| value::key(&database.name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(hosts: &[&str]) -> Vec<String> {
        let addresses = hosts.iter().map(|host| match host.rsplit_once('#') {
            Some((host, port)) => Address { host: host.into(), port: port.parse().unwrap() },
            None => Address { host: host.to_string(), port: 5432 },
        });
        name_nodes(addresses.collect()).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn nodes_have_short_names_that_differ() {
        assert_eq!(named(&["db1.example.com", "db2.example.com"]), ["db1", "db2"]);
        assert_eq!(named(&["10.0.0.1", "::1", "/run/postgresql"]), ["10-0-0-1", "1", "local"]);
        assert_eq!(named(&["db.a", "db.b", "db.c"]), ["db", "db-5432", "db-5432-2"]);
        assert_eq!(named(&["localhost#1", "localhost#2"]), ["localhost", "localhost-2"]);
        assert_eq!(named(&["...", &"x".repeat(200)]), ["node".to_owned(), "x".repeat(NAME_MAX_BYTES)]);
    }
}
