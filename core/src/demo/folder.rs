//! A temporary folder with servers in it, and the promise that both go when we go.
//!
//! The promise holds even when we are killed: a small shell script at the other end of a pipe does the
//! work, and a pipe closes however its writer ends.

use std::{
    fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use super::account::Account;

const REAPER: &str = include_str!("reaper.sh");

static MADE: AtomicU32 = AtomicU32::new(0);

/// A folder that goes away together with every server that has a `postmaster.pid` or `*.pid` in it.
///
/// Such a server must have the folder's path on its command line.
#[derive(Debug)]
pub struct ServerFolder {
    path: PathBuf,
    reaper: Child,
}

impl ServerFolder {
    /// Makes the folder `path`, which must not exist yet, or a new one among the temporary files.
    pub fn make(path: Option<&Path>, account: Account) -> io::Result<Self> {
        let path = match path {
            Some(path) => std::path::absolute(path)?,
            None => std::env::temp_dir().join(unused_name()),
        };
        fs::create_dir(&path)?;
        let path = path.canonicalize()?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        account.own(&path)?;
        let reaper = watch(&path).inspect_err(|_| drop(fs::remove_dir_all(&path)))?;
        Ok(Self { path, reaper })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ServerFolder {
    fn drop(&mut self) {
        drop(self.reaper.stdin.take());
        // Nobody is left to tell; the script has done what could be done.
        let _ = self.reaper.wait();
    }
}

fn unused_name() -> String {
    format!("howdah-{}-{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// A group of its own keeps the terminal's Ctrl-C away from the script.
fn watch(path: &Path) -> io::Result<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", REAPER, "howdah-reaper"]).arg(path);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_the_folder_ends_its_servers_and_removes_it() {
        let folder = ServerFolder::make(None, Account::Own).unwrap();
        let path = folder.path().to_owned();
        // Something that runs, has the folder on its command line and heeds SIGQUIT.
        let script = format!("while read -r _ < {}/never; do :; done", path.display());
        Command::new("mkfifo").arg(path.join("never")).status().unwrap();
        let mut server = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        fs::write(path.join("server.pid"), server.id().to_string()).unwrap();

        drop(folder);

        assert!(!path.exists());
        assert!(!server.wait().unwrap().success());
    }

    #[test]
    fn a_folder_that_exists_is_not_taken_over() {
        let existing = ServerFolder::make(None, Account::Own).unwrap();

        let refused = ServerFolder::make(Some(existing.path()), Account::Own).unwrap_err();

        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }
}
