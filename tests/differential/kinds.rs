//! The kinds of requests that sessions make.
//!
//! Each writes one request or a few that belong together. Between any two of them, other sessions' requests
//! use the servers. What they ask has one answer: rows are ordered, times and process numbers are left out.

mod data;
mod extended;
mod lasting;
mod settings;
mod shared;
mod statements;
mod transactions;

use super::script::Script;

/// A kind of requests.
pub struct Kind {
    /// Its name, by which kinds can be chosen and differences are grouped.
    pub name: &'static str,
    /// Whether it may stand in a transaction that it did not begin.
    pub inside: bool,
    /// Writes a request or a few.
    pub write: fn(&mut Script<'_>),
}

/// All of them.
pub const KINDS: [Kind; 23] = [
    Kind { name: "settings", inside: true, write: settings::settings },
    Kind { name: "custom", inside: true, write: settings::custom },
    Kind { name: "roles", inside: true, write: settings::roles },
    Kind { name: "hidden", inside: true, write: settings::hidden },
    Kind { name: "transactions", inside: false, write: transactions::transactions },
    Kind { name: "savepoints", inside: false, write: transactions::savepoints },
    Kind { name: "two_phase", inside: false, write: transactions::two_phase },
    Kind { name: "multi", inside: false, write: transactions::multi },
    Kind { name: "errors", inside: false, write: transactions::errors },
    Kind { name: "prepared", inside: true, write: extended::prepared },
    Kind { name: "pipelines", inside: true, write: extended::pipelines },
    Kind { name: "portals", inside: false, write: extended::portals },
    Kind { name: "sql_prepare", inside: true, write: statements::sql_prepare },
    Kind { name: "discard", inside: false, write: statements::discard },
    Kind { name: "schema_change", inside: false, write: statements::schema_change },
    Kind { name: "temporary", inside: true, write: lasting::temporary },
    Kind { name: "cursors", inside: false, write: lasting::cursors },
    Kind { name: "sequences", inside: true, write: lasting::sequences },
    Kind { name: "notify", inside: true, write: shared::notify },
    Kind { name: "locks", inside: true, write: shared::locks },
    Kind { name: "data", inside: true, write: data::data },
    Kind { name: "copy", inside: true, write: data::copy },
    Kind { name: "calls", inside: true, write: data::calls },
];
