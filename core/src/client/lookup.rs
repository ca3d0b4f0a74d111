//! Users that are not in the `auth_file`: who knows their secrets is somebody else's business.

use std::{fmt, pin::Pin};

use super::LookupError;
use crate::auth::Secret;

/// The outcome of a [`Lookup`], once there is one.
pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Option<Secret>, LookupError>> + Send + 'a>>;

/// Finds the secrets of users.
pub trait Lookup: fmt::Debug + Sync {
    /// The secret of a user who wants this database, or the console when it is `None`. An empty password when
    /// there is the user but no secret; `None` when there is no such user, which takes as long.
    fn look_up<'a>(&'a self, database: Option<&'a str>, user: &'a str) -> Found<'a>;

    /// What was found has not let the user in: it is not to be believed next time.
    fn forget(&self, database: Option<&str>, user: &str);
}
