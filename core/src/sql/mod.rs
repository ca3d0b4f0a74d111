//! What a statement is, without knowing where it goes.
//!
//! [`shape`] finds the shape of a text: the statement with its literals removed. [`facts`] says
//! what PostgreSQL's own parser knows of a shape; [`catalog`] adds what only the database knows,
//! and [`effect`] is what a statement leaves in its session. [`execute`] finds the name in an EXECUTE.

pub mod catalog;
pub mod effect;
pub mod execute;
pub mod facts;
pub mod hint;
pub mod shape;

mod blank;
mod builtin;
mod generations;
mod lexical;
mod normal;
mod plain;
mod statement;
mod unseen;
mod walk;

pub use catalog::Catalog;
pub use effect::Effect;
pub use facts::{Kind, StatementFacts, TableRef, Traits};
pub use shape::{Shape, ShapeId, Shapes, SharedShapes};
