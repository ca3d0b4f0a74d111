//! What the control plane may ask of clients and of the servers that they use.

use std::sync::Arc;

/// A session that keeps its server between transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptServer {
    /// The client's process id, as KILL takes it.
    pub client: u32,
    /// Its login name.
    pub user: Arc<str>,
    /// The database it asked for.
    pub database: Arc<str>,
    /// What it keeps the server for; nothing in session mode, where every client keeps one.
    pub causes: Vec<&'static str>,
}

/// Clients and servers of all clusters, as far as the control plane has to do with them.
///
/// Names are the configuration's. No call waits.
///
/// While a cluster's facts have a [`Hold`](super::Hold), no transaction begins at its primary. So a planned change
/// publishes the hold first, closes what is idle, waits until [`in_transaction`](Self::in_transaction) is 0, and then
/// knows that nobody writes by way of this proxy.
pub trait Traffic: Send + Sync {
    /// Clients that have a request or a transaction at a server of the node.
    fn in_transaction(&self, cluster: &str, node: &str) -> usize;

    /// Sessions that will not let go of a server of the node by themselves, whether they are in a transaction or not.
    fn kept_servers(&self, cluster: &str, node: &str) -> Vec<KeptServer>;

    /// Closes the servers of the node that nobody has now, the others when they come back.
    fn close_servers(&self, cluster: &str, node: &str);

    /// Ends the sessions that [`kept_servers`](Self::kept_servers) lists. Those in a transaction end behind it.
    fn dismiss(&self, cluster: &str, node: &str);

    /// Closes all servers of the node at once, whoever uses them: what they were asked is lost.
    fn cut(&self, cluster: &str, node: &str);
}
