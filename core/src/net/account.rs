//! Names of the machine's users.

use nix::unistd::{Uid, User};

/// The name of the user with this number; `None` when there is none, or nobody can say.
///
/// Asked off the thread: the answer may come from a directory on the network.
pub async fn name(number: u32) -> Option<String> {
    let asked = tokio::task::spawn_blocking(move || User::from_uid(Uid::from_raw(number)));
    Some(asked.await.ok()?.ok()??.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_superuser_has_a_name_and_nobody_has_the_last_number() {
        assert_eq!(name(0).await.as_deref(), Some("root"));
        assert_eq!(name(u32::MAX - 1).await, None);
    }
}
