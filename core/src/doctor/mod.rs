//! `howdah cluster doctor`: what is missing on each node for each feature, before it is needed at night.
//!
//! It logs in as the control user does and asks ([`check`]); nothing is changed. [`grants`] prints what gives the
//! control user its rights.

pub mod check;
pub mod grants;

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;
use tokio::runtime::Builder;

use self::check::{Feature, Needs, Weight, questions};
use crate::{
    config::{Cluster, Config, ExecutorKind, Node},
    control::{
        ControlLogin,
        host::{Executor, Host, Job, Step},
        in_words,
    },
    net::tls::{Connector, TlsError},
    server::{
        ConnectError, ServerTarget, ServerTls,
        simple::{ControlSession, QueryError, Row},
    },
};

/// Longest wait for one node, or for its machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// The oldest version that clusters are managed on: before it, the rights cannot be given to anybody but a superuser.
const OLDEST: u32 = 150_000;

/// Why there is no diagnosis.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// There is no such cluster.
    #[error("there is no cluster \"{0}\" in the configuration")]
    NoCluster(String),
    /// TLS towards the nodes.
    #[error("TLS cannot be used")]
    Tls(#[from] TlsError),
    /// The runtime.
    #[error("could not start")]
    Start(#[from] std::io::Error),
}

/// What was found in one cluster.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The cluster.
    pub cluster: String,
    /// Its nodes.
    pub nodes: Vec<NodeDiagnosis>,
}

/// What was found on one node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeDiagnosis {
    /// The node.
    pub node: String,
    /// Where it is.
    pub address: String,
    /// `server_version_num`.
    pub version: Option<u32>,
    /// Its system identifier, as text: JSON's numbers are too short for it.
    pub system: Option<String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// For what it is needed.
    pub feature: Feature,
    /// How bad it is.
    pub weight: Weight,
    /// In words.
    pub text: String,
}

/// Looks at one cluster, or at all of them.
pub fn examine(config: &Config, cluster: Option<&str>) -> Result<Vec<Diagnosis>, DoctorError> {
    let chosen: Vec<_> = match cluster {
        None => config.clusters.values().collect(),
        Some(name) => vec![config.clusters.get(name).ok_or_else(|| DoctorError::NoCluster(name.to_owned()))?],
    };
    let mode = config.server_tls.sslmode;
    let tls = ServerTls { mode, connector: Connector::load(&config.server_tls)? };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut found = Vec::new();
    for cluster in chosen {
        let login = ControlLogin::of(config, cluster, &tls);
        found.push(runtime.block_on(of_cluster(cluster, &login)));
    }
    Ok(found)
}

async fn of_cluster(cluster: &Cluster, login: &ControlLogin) -> Diagnosis {
    let mut nodes = Vec::new();
    for node in &cluster.nodes {
        let mut visit = Visit { cluster, node, login, found: NodeDiagnosis::of(node) };
        visit.log_in_and_ask().await;
        visit.try_executor().await;
        nodes.push(visit.found);
    }
    let ours = nodes.iter().find_map(|node| node.system.clone());
    for node in nodes.iter_mut().filter(|node| node.system.is_some() && node.system != ours) {
        let text = "its system identifier is another than the first node's: it is not of this cluster".to_owned();
        node.findings.push(Finding { feature: Feature::Failover, weight: Weight::Missing, text });
    }
    Diagnosis { cluster: cluster.name.to_string(), nodes }
}

struct Visit<'a> {
    cluster: &'a Cluster,
    node: &'a Node,
    login: &'a ControlLogin,
    found: NodeDiagnosis,
}

impl Visit<'_> {
    async fn log_in_and_ask(&mut self) {
        let target = self.login.target(self.cluster, self.node, PATIENCE);
        let mut session = match ControlSession::connect(&target).await {
            Ok(session) => session,
            Err(error) => {
                let user = &self.cluster.control_user;
                return self.missing(Feature::Monitoring, format!("{user} cannot log in: {}", in_words(&error)));
            }
        };
        match self.ask(&mut session).await {
            Ok(()) => self.try_replication(&target).await,
            Err(error) => self.missing(Feature::Monitoring, in_words(&error).to_string()),
        }
    }

    async fn ask(&mut self, session: &mut ControlSession) -> Result<(), QueryError> {
        let rows = session.query("SELECT current_setting('server_version_num')").await?;
        let version = rows.first().and_then(|row| row.parse(0));
        self.found.version = version;
        if version.is_none_or(|version| version < OLDEST) {
            self.missing(Feature::Failover, "clusters are managed on PostgreSQL 15 and later".to_owned());
            return Ok(());
        }
        let by_sql = self.node.executor.kind == ExecutorKind::SqlProgram;
        let questions = questions(Needs { nodes: self.cluster.nodes.len(), by_sql });
        let columns: Vec<_> = questions.iter().map(|question| format!("({})", question.sql)).collect();
        let rows = session.query(&format!("SELECT {}", columns.join(", "))).await?;
        let answers = rows.first().cloned().unwrap_or_else(Row::default);
        let wrong = questions.into_iter().enumerate().filter(|(column, _)| answers.bool(*column) != Some(true));
        let wrong = wrong.map(|(_, it)| Finding { feature: it.feature, weight: it.weight, text: it.otherwise });
        self.found.findings.extend(wrong);
        Ok(())
    }

    /// The fork test needs a replication connection, and rules of access often forget those.
    async fn try_replication(&mut self, target: &ServerTarget) {
        let both = ("replication".to_owned(), "database".to_owned());
        let parameters = target.parameters.iter().cloned().chain([both]).collect();
        let target = ServerTarget { parameters, ..target.clone() };
        match self.identify(&target).await {
            Ok(system) => self.found.system = system,
            Err(error) => self.missing(Feature::Rejoin, format!("no replication connection: {error}")),
        }
    }

    async fn identify(&self, target: &ServerTarget) -> Result<Option<String>, String> {
        let connect = ControlSession::connect(target).await;
        let mut session = connect.map_err(|error: ConnectError| in_words(&error).to_string())?;
        let rows = session.query("IDENTIFY_SYSTEM").await.map_err(|error| in_words(&error).to_string())?;
        Ok(rows.first().and_then(|row| row.text(0)).map(str::to_owned))
    }

    async fn try_executor(&mut self) {
        if self.node.executor.kind == ExecutorKind::None {
            let text = "its `executor` is \"none\": nobody can bring it back, or stop and start it".to_owned();
            for feature in [Feature::Rejoin, Feature::Switchover] {
                self.found.findings.push(Finding { feature, weight: Weight::Advice, text: text.clone() });
            }
            return;
        }
        let executor = match Executor::of(self.cluster, self.node, self.login, PATIENCE) {
            Ok(executor) => executor,
            Err(error) => return self.missing(Feature::Rejoin, in_words(&error).to_string()),
        };
        let job = Job { op: "doctor".into(), epoch: 0, steps: vec![Step::Status], limit: PATIENCE };
        match executor.carry_out(&job, &mut |_: &str| {}).await {
            Err(error) => self.missing(Feature::Rejoin, format!("the executor: {}", in_words(&error))),
            Ok(state) if state.control.is_none() => {
                self.missing(Feature::Rejoin, "the executor finds no data in `data_dir`".to_owned());
            }
            Ok(state) => {
                let theirs = state.control.map(|control| control.system.to_string());
                if self.found.system.is_some() && theirs != self.found.system {
                    let text = "the executor's `data_dir` is that of another server than the one that answers";
                    self.missing(Feature::Rejoin, text.to_owned());
                }
            }
        }
    }

    fn missing(&mut self, feature: Feature, text: String) {
        self.found.findings.push(Finding { feature, weight: Weight::Missing, text });
    }
}

impl NodeDiagnosis {
    fn of(node: &Node) -> Self {
        let address = format!("{}:{}", node.host, node.port);
        Self { node: node.name.to_string(), address, version: None, system: None, findings: Vec::new() }
    }

    fn misses(&self, feature: Feature) -> bool {
        self.findings.iter().any(|finding| finding.feature == feature && finding.weight == Weight::Missing)
    }
}

/// Whether anything will not work.
pub fn is_healthy(found: &[Diagnosis]) -> bool {
    let mut findings = found.iter().flat_map(|cluster| &cluster.nodes).flat_map(|node| &node.findings);
    findings.all(|finding| finding.weight != Weight::Missing)
}

/// For people.
pub fn in_text(found: &[Diagnosis]) -> String {
    let mut text = String::new();
    for Diagnosis { cluster, nodes } in found {
        let _ = writeln!(text, "cluster {cluster}");
        for node in nodes {
            let _ = writeln!(text, "  {} at {}", node.node, node.address);
            for feature in [Feature::Monitoring, Feature::Failover, Feature::Rejoin, Feature::Switchover] {
                let verdict = if node.misses(feature) { "something is missing" } else { "good" };
                let _ = writeln!(text, "    {:<10}  {verdict}", feature.word());
                for finding in node.findings.iter().filter(|finding| finding.feature == feature) {
                    let weight = if finding.weight == Weight::Missing { "missing" } else { "advice " };
                    let _ = writeln!(text, "      {weight}  {}", finding.text);
                }
            }
        }
    }
    if !is_healthy(found) {
        text.push_str("Rights are given by what `howdah cluster grant-sql` prints.\n");
    }
    text
}
