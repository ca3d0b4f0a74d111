//! Who PostgreSQL runs as: us, or an unprivileged user when we are root (it refuses to run as root).

use std::{
    fs, io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::Command,
};

/// Tried in this order; the first is made by PostgreSQL's packages, the last exists everywhere.
const UNPRIVILEGED_USERS: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The user that server programs run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Ours: we are not root.
    Own,
    /// Another one: we are root.
    Other {
        /// User number.
        uid: u32,
        /// Group number.
        gid: u32,
    },
}

/// Root has no unprivileged user to run PostgreSQL as.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL does not run as root, and none of the users {} exists", UNPRIVILEGED_USERS.join(", "))]
pub struct NoAccount;

impl Account {
    /// Ours unless we are root.
    pub fn choose() -> Result<Self, NoAccount> {
        if !we_are_root() {
            return Ok(Self::Own);
        }
        let known = UNPRIVILEGED_USERS.iter().find_map(|user| Some((number(user, "-u")?, number(user, "-g")?)));
        known.map(|(uid, gid)| Self::Other { uid, gid }).ok_or(NoAccount)
    }

    /// Makes a command run as this user.
    pub fn apply(self, command: &mut Command) -> &mut Command {
        match self {
            Self::Own => command,
            // The standard library drops root's supplementary groups together with the user.
            Self::Other { uid, gid } => command.gid(gid).uid(uid),
        }
    }

    /// Hands a file or folder over to this user.
    pub fn own(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        }
    }
}

fn we_are_root() -> bool {
    // On Linux our own entry in /proc says it without a process; elsewhere `id` does.
    match fs::metadata("/proc/self") {
        Ok(entry) => entry.uid() == 0,
        Err(_) => id(&["-u"]).as_deref() == Some("0"),
    }
}

fn number(user: &str, which: &str) -> Option<u32> {
    id(&[which, user])?.parse().ok()
}

fn id(arguments: &[&str]) -> Option<String> {
    let answer = Command::new("id").args(arguments).output().ok()?;
    answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}
