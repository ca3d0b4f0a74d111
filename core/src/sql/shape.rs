//! Finds the shape of a text.
