//! The executor of a node, as the configuration has it.

use std::time::Duration;

use super::{
    Host, Listen,
    agent::Agent,
    error::HostError,
    frame,
    job::Job,
    local::{Exec, Ssh},
    program::SqlProgram,
    script::Place,
    state::NodeState,
};
use crate::{
    config::{AGENT_PORT, Cluster, ExecutorKind, Node, SslMode, Tls, types},
    control::ControlLogin,
    net::tls::{Connector, TlsError},
};

/// Who acts on a node's machine.
#[derive(Clone, Debug)]
pub enum Executor {
    /// Nobody.
    Nobody {
        /// The node.
        node: String,
        /// Its cluster.
        cluster: String,
    },
    /// Commands here.
    Exec(Exec),
    /// Commands there.
    Ssh(Ssh),
    /// The server itself.
    SqlProgram(Box<SqlProgram>),
    /// A program of ours there.
    Agent(Box<Agent>),
}

impl Executor {
    /// The one that the configuration names. Fails when the files of TLS cannot be read.
    pub fn of(
        cluster: &Cluster,
        node: &Node,
        login: &ControlLogin,
        connect_timeout: Duration,
    ) -> Result<Self, TlsError> {
        let settings = &*node.executor;
        let place = place(node);
        Ok(match settings.kind {
            ExecutorKind::None => Self::Nobody { node: node.name.to_string(), cluster: cluster.name.to_string() },
            ExecutorKind::Exec => Self::Exec(Exec { place, run_as: settings.run_as.clone() }),
            ExecutorKind::Ssh => {
                let target = settings.ssh_target.as_deref().unwrap_or(&node.host).into();
                Self::Ssh(Ssh { place, command: settings.ssh_command.clone(), target })
            }
            ExecutorKind::SqlProgram => {
                let target = login.target(cluster, node, connect_timeout);
                Self::SqlProgram(Box::new(SqlProgram { target, place }))
            }
            ExecutorKind::Agent => Self::Agent(Box::new(agent(node, connect_timeout)?)),
        })
    }
}

/// Where things are on the node's machine.
pub fn place(node: &Node) -> Place {
    let types::Executor { data_dir, bin_dir, work_dir, config_file, log_file, passfile, .. } = (*node.executor).clone();
    Place {
        node: node.name.to_string(),
        data_dir: data_dir.unwrap_or_default(),
        bin_dir,
        work_dir,
        config_file,
        log_file,
        passfile,
        start_command: node.executor.start_command.clone(),
        stop_command: node.executor.stop_command.clone(),
    }
}

fn agent(node: &Node, connect_timeout: Duration) -> Result<Agent, TlsError> {
    let settings = &node.executor;
    let address = settings.agent_address.as_deref().unwrap_or(&node.host);
    let (host, port) = match address.rsplit_once(':') {
        // Of an IPv6 address without brackets the colons are its own.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().unwrap_or(AGENT_PORT)),
        _ => (address, AGENT_PORT),
    };
    let tls = Tls {
        sslmode: SslMode::VerifyFull,
        key_file: settings.agent_key_file.clone(),
        cert_file: settings.agent_cert_file.clone(),
        ca_file: settings.agent_ca_file.clone(),
    };
    let missing = TlsError::Missing { mode: "verify-full", key: "ca_file" };
    let connector = Connector::load(&tls)?.ok_or(missing)?.speaking(frame::ALPN);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Agent { node: node.name.to_string(), host, port, connector, connect_timeout })
}

impl Host for Executor {
    async fn carry_out(&self, job: &Job, listen: &mut dyn Listen) -> Result<NodeState, HostError> {
        match self {
            Self::Nobody { node, cluster } => {
                Err(HostError::NoExecutor { node: node.clone(), cluster: cluster.clone() })
            }
            Self::Exec(exec) => exec.carry_out(job, listen).await,
            Self::Ssh(ssh) => ssh.carry_out(job, listen).await,
            Self::SqlProgram(program) => program.carry_out(job, listen).await,
            Self::Agent(agent) => agent.carry_out(job, listen).await,
        }
    }

    fn reaches_a_node_that_is_down(&self) -> bool {
        !matches!(self, Self::Nobody { .. } | Self::SqlProgram(_))
    }
}
