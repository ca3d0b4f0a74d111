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
    /// End the process.
    ShutDown {
        /// When.
        ending: Ending,
    },
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
