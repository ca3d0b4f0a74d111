//! What operators ask of the running proxy, on its way from a console to the control plane.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

/// Commands that wait at once.
const WAITING_MAX: usize = 64;

/// How a command ended; the error is for the operator's eyes.
pub type Outcome<T> = Result<T, String>;

/// One command.
#[derive(Debug)]
pub enum Command {
    /// Read the configuration again and go over to it. Answers the running generation's number.
    Reload {
        /// Who asked: `RELOAD`, `SIGHUP`, `file change`.
        cause: &'static str,
        /// Where the answer goes.
        answer: oneshot::Sender<Outcome<u64>>,
    },
    /// Go back to an earlier generation: the one before, or that number.
    Rollback {
        /// Which.
        to: Option<u64>,
        /// Where the answer goes.
        answer: oneshot::Sender<Outcome<u64>>,
    },
    /// Give a node no new work; what runs there ends.
    Detach {
        /// The node's name.
        node: Arc<str>,
        /// Where the answer goes.
        answer: oneshot::Sender<Outcome<()>>,
    },
    /// Give a node work again.
    Attach {
        /// The node's name.
        node: Arc<str>,
        /// Where the answer goes.
        answer: oneshot::Sender<Outcome<()>>,
    },
    /// Change a cluster: may take as long as its longest step.
    Steer {
        /// In which cluster, by name; the one that there is, or that has the node.
        cluster: Option<Arc<str>>,
        /// What.
        order: ClusterOrder,
        /// Where the answer goes, when it is done.
        answer: oneshot::Sender<Outcome<String>>,
    },
    /// End the process.
    ShutDown {
        /// When.
        ending: Ending,
    },
}

/// What an operator orders a cluster to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterOrder {
    /// Exchange the primary for a standby, as planned: nobody notices.
    Switchover {
        /// Whom to promote; the best by default.
        to: Option<Arc<str>>,
    },
    /// Promote a standby now, whatever the primary does.
    Failover {
        /// Whom to promote; the best by default.
        to: Option<Arc<str>>,
        /// Although acknowledged commits may be lost.
        allow_data_loss: bool,
    },
    /// Have a node that was a primary, or that has diverged, follow the primary again.
    Rejoin {
        /// Which.
        node: Arc<str>,
    },
    /// Make a node anew as a copy of the primary.
    Reinit {
        /// Which.
        node: Arc<str>,
    },
    /// Decide nothing automatically until the end of it.
    PauseFailover,
    /// Decide automatically again.
    ResumeFailover,
}

impl ClusterOrder {
    /// The node that is named in it.
    pub fn node(&self) -> Option<&Arc<str>> {
        match self {
            Self::Switchover { to } | Self::Failover { to, .. } => to.as_ref(),
            Self::Rejoin { node } | Self::Reinit { node } => Some(node),
            Self::PauseFailover | Self::ResumeFailover => None,
        }
    }
}

/// What the end of the process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    Now,
    /// The end of each client's transaction.
    TransactionsOver,
    /// Each client's own goodbye.
    ClientsGone,
}

/// The consoles' end.
#[derive(Clone, Debug)]
pub struct Commands(mpsc::Sender<Command>);

impl Commands {
    /// Both ends.
    pub fn channel() -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(sender), receiver)
    }

    /// Reads the configuration again.
    pub async fn reload(&self, cause: &'static str) -> Outcome<u64> {
        self.ask(|answer| Command::Reload { cause, answer }).await
    }

    /// Goes back to an earlier generation.
    pub async fn rollback(&self, to: Option<u64>) -> Outcome<u64> {
        self.ask(|answer| Command::Rollback { to, answer }).await
    }

    /// Takes a node out of the balance.
    pub async fn detach(&self, node: &str) -> Outcome<()> {
        self.ask(|answer| Command::Detach { node: node.into(), answer }).await
    }

    /// Puts a node back into the balance.
    pub async fn attach(&self, node: &str) -> Outcome<()> {
        self.ask(|answer| Command::Attach { node: node.into(), answer }).await
    }

    /// Changes a cluster; answers what was done, in one line.
    pub async fn steer(&self, cluster: Option<&str>, order: ClusterOrder) -> Outcome<String> {
        let cluster = cluster.map(Arc::from);
        self.ask(|answer| Command::Steer { cluster, order, answer }).await
    }

    /// Ends the process; returns at once.
    pub async fn shut_down(&self, ending: Ending) {
        // Nobody listens when it is ending already.
        let _ = self.0.send(Command::ShutDown { ending }).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Outcome<T>>) -> Command) -> Outcome<T> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| "the proxy is shutting down".to_owned();
        self.0.send(command(answer)).await.map_err(|error| gone(error.to_string()))?;
        answered.await.map_err(|error| gone(error.to_string()))?
    }
}
