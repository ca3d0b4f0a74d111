//! What the control plane knows, handed down to the data plane; the only meeting point of the two.
//!
//! [`FactsCell`] is written by the monitor of a cluster and read by every session. What sessions
//! see of servers goes the other way as a [`Report`].

mod cell;
mod node;
mod report;
mod status;

pub use cell::FactsCell;
pub use node::{Facts, Health, NodeFacts, Role};
pub use report::{Report, Reports};
pub use status::{ClusterEvent, ClusterStatus, NodeStatus, OperationStatus, StatusCell};
