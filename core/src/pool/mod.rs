//! Servers that are kept open, and who may have one.
//!
//! A [`Pool`] belongs to one (database, user, node). Its state is behind one mutex that is held for
//! some ten instructions at a time, so limits are exact over all workers and waiters are served in
//! order. A worker prefers servers of its own; one that is starved takes an idle one from another.
//!
//! [`checkout`] is the way in, [`Lease`] the way back, [`opening`] gets what is missing, within each
//! [`quota`], [`upkeep`] closes what is too old, [`clients`] bounds those who come, [`holds`] is what operators order.

pub mod checkout;
pub mod clients;
pub mod holds;
pub mod quota;
pub mod registry;
pub mod upkeep;
pub mod worker;

mod limits;
mod line;
mod opening;
mod slot;
#[cfg(test)]
mod tests;

pub use checkout::{CheckoutError, Lease};
pub use limits::PoolLimits;
pub use line::{Pool, PoolCounts};
pub use quota::{Ledger, Quota};
pub use registry::{PoolSet, Registry};
pub use slot::{Slot, server_closed};
