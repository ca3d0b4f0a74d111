//! What the answers that are still to come are answers to.

use std::sync::Arc;

use crate::{server::statements::Statement, session::prepared::Prepared};

/// How a ParseComplete or CloseComplete that is still to come has to be treated, in order.
#[derive(Debug)]
pub enum Answer {
    /// Passed on.
    Pass,
    /// Kept from the client: it answers a message of our own.
    Swallow,
    /// The same, in front of a Query that ends an open batch.
    EndOfBatch,
    /// The client's Parse of the unnamed statement, of which nothing is left if the answer never comes.
    Unnamed,
    /// The client's Close of a statement.
    Close {
        /// The client's name for it, to be given back if the answer never comes.
        name: Box<[u8]>,
        /// What it was.
        prepared: Prepared,
    },
    /// A Close that stands in for the client's Parse of a statement that the server has.
    CloseAsParse {
        /// The client's name, to be forgotten if the answer never comes.
        name: Box<[u8]>,
    },
    /// The Parse of one of our names.
    Parse {
        /// To be forgotten by the server if the answer never comes.
        statement: Arc<Statement>,
        /// The client's name, if it asked; otherwise the answer is swallowed.
        name: Option<Box<[u8]>>,
    },
}
