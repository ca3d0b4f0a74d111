//! What a hostile guest may answer, and what becomes of it.
