//! The configuration, checked into types once; after that nothing in it is invalid.
//!
//! [`types`] is what the rest of the program sees. [`load`](load()) makes it: `layer` lays the sources
//! over each other, `section` reads a table by the list in `keys`, `check` puts it together and knows
//! what must hold between keys. `changes` compares two configurations, `reference` describes all keys,
//! `forms` is for whoever writes a configuration.

mod changes;
mod check;
mod forms;
pub mod hba;
pub mod healing;
mod keys;
mod layer;
mod load;
mod path;
mod problem;
mod reference;
mod secret;
mod section;
#[cfg(test)]
mod tests;
pub mod types;
mod userlist;
mod value;

pub use changes::{Setting, describe, restart_needed};
pub use forms::{Form, advice, form};
pub use hba::{Arrival, Hba, HbaRule, IdentMap, Method, Origin};
pub use healing::{AutoRejoin, Healing, SynchronousMode};
pub use load::{Sources, files, load, load_with};
pub use problem::{ConfigErrors, Place, Problem};
pub use reference::reference;
pub use section::ReadFile;
pub use types::*;
pub use userlist::parse as parse_userlist;
