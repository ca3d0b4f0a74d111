//! What only the database knows of names in a statement.
