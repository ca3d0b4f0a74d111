//! The control plane: it watches the nodes of each cluster and hands down what it knows.
//!
//! [`monitor`] keeps one [`probe`] at each node ([`knock`] helps it in doubt), has the [`judge`] turn their observations into
//! facts, and publishes them; [`catalogs`] keeps what only the databases know of names in
//! statements. Sessions never wait for anything here: they read the newest that is known. [`host`] acts on nodes'
//! machines, [`rejoin`] brings a node back with it.

mod catalogs;
mod changes;
mod cluster_question;
mod dial;
pub mod host;
mod judge;
mod knock;
mod monitor;
mod observation;
mod probe;
mod question;
pub mod rejoin;
mod sights;
mod steward;
mod task;

pub use catalogs::{CATALOGS_MAX, Catalogs};
pub use dial::{ControlLogin, Dial, Link, Network, in_words};
pub use judge::NoSuchNode;
pub use monitor::{Monitor, MonitorHandle, MonitorSpec};
pub use observation::{Failure, FailureKind, Timings};
pub use steward::{LogError, PolicySource, StewardHandle, StewardSpec};
