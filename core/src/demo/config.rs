//! Writes a configuration of the proxy for a cluster of our own.

use super::{
    cluster::{Auth, PgCluster},
    node::{PASSWORD, SUPERUSER},
};

/// The default policy's name.
pub const DEFAULT_POLICY: &str = "builtin:read-write-split";

/// A configuration file in the making; what is not said is the minimal file of the README.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    port: u16,
    /// Keys at the top, in order, with their values as TOML.
    top: Vec<(String, String)>,
    cluster: String,
    /// Component and settings.
    router: Option<(String, String)>,
    sections: Vec<String>,
    files: Vec<(String, String)>,
}

impl ProxyConfig {
    /// In front of this cluster, with the default policy, trust and the superuser as administrator.
    pub fn for_cluster(cluster: &PgCluster, port: u16) -> Self {
        let nodes: Vec<String> = cluster
            .nodes()
            .iter()
            .map(|node| format!("  {{ name = {:?}, host = {:?}, port = {} }},\n", node.name, node.host, node.port))
            .collect();
        let password = match cluster.auth() {
            Auth::Trust => String::new(),
            Auth::Scram => format!("control_password = {PASSWORD:?}\n"),
        };
        let nodes = nodes.concat();
        Self {
            port,
            top: Vec::new(),
            cluster: format!("nodes = [\n{nodes}]\ncontrol_user = {SUPERUSER:?}\n{password}"),
            router: Some((DEFAULT_POLICY.into(), "{ }".into())),
            sections: vec!["[databases]\n\"*\" = { cluster = \"main\" }\n".into()],
            files: Vec::new(),
        }
        .set("listen_addr", "\"127.0.0.1\"")
        .set("auth_type", "\"trust\"")
        .set("admin_users", &format!("[{SUPERUSER:?}]"))
    }

    /// Reaches the node that listens on this port through another one.
    pub fn through(mut self, port: u16, other: u16) -> Self {
        self.cluster = self.cluster.replace(&format!("port = {port} "), &format!("port = {other} "));
        self
    }

    /// Adds keys to the entry of a node; as in an inline table.
    pub fn node(mut self, name: &str, keys: &str) -> Self {
        let named = format!("{{ name = {name:?}, ");
        self.cluster = self.cluster.replace(&named, &format!("{named}{keys}, "));
        self
    }

    /// Sets a key at the top; the value is TOML.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.top.retain(|(name, _)| name != key);
        self.top.push((key.into(), value.into()));
        self
    }

    /// Sets a key of the cluster; the value is TOML.
    pub fn in_cluster(mut self, key: &str, value: &str) -> Self {
        self.cluster += &format!("{key} = {value}\n");
        self
    }

    /// Another policy; the settings are an inline table.
    pub fn router(mut self, component: &str, settings: &str) -> Self {
        self.router = Some((component.into(), settings.into()));
        self
    }

    /// No policy: everything goes to the primary.
    pub fn without_router(mut self) -> Self {
        self.router = None;
        self
    }

    /// Replaces the `[databases]` table by other text, headings included.
    pub fn databases(mut self, text: &str) -> Self {
        self.sections[0] = text.into();
        self
    }

    /// More tables, headings included.
    pub fn section(mut self, text: &str) -> Self {
        self.sections.push(text.into());
        self
    }

    /// A file beside the configuration, where relative paths lead.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.into(), text.into()));
        self
    }

    /// An `auth_file` with these users and secrets.
    pub fn users(self, users: &[(&str, &str)]) -> Self {
        let lines: Vec<String> = users.iter().map(|(user, secret)| format!("\"{user}\" \"{secret}\"\n")).collect();
        self.file("userlist.txt", &lines.concat()).set("auth_file", "\"userlist.txt\"")
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The files beside the configuration: names and texts.
    pub fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// The configuration file's text.
    pub fn to_toml(&self) -> String {
        let mut text = format!("listen_port = {}\n", self.port);
        for (key, value) in &self.top {
            text += &format!("{key} = {value}\n");
        }
        text += &format!("\n[clusters.main]\n{}", self.cluster);
        for section in &self.sections {
            text += &format!("\n{section}");
        }
        if let Some((component, settings)) = &self.router {
            text += &format!("\n[plugins.router]\ncomponent = {component:?}\nsettings = {settings}\n");
        }
        text
    }
}
