//! What a statement is, without knowing where it goes.
//!
//! [`shape`] finds the shape of a text: the statement with its literals removed. [`facts`] says
//! what PostgreSQL's own parser knows of a shape; [`catalog`] adds what only the database knows.

pub mod catalog;
pub mod facts;
pub mod shape;

pub use facts::{Kind, StatementFacts, TableRef, Traits};
