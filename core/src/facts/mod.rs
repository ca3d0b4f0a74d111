//! What the control plane knows, handed down to the data plane; the only meeting point of the two.
//!
//! [`FactsCell`] is written by the monitor of a cluster, with what has been [ruled](Ruling) over what it sees, and
//! read by every session. What sessions see of servers goes the other way as a [`Report`]; what the control plane
//! wants done with the servers of a node is [`Traffic`].

mod cell;
mod node;
mod reading;
mod report;
mod ruling;
mod status;
#[cfg(test)]
mod tests;
mod traffic;

pub use cell::FactsCell;
pub use node::{Facts, Health, NodeFacts, Role};
pub use reading::Reading;
pub use report::{Report, Reports};
pub use ruling::{Fork, Hold, RuledPrimary, Ruling};
pub use status::{ClusterEvent, ClusterStatus, NodeStatus, OperationStatus, StatusCell};
pub use traffic::{KeptServer, Traffic};
