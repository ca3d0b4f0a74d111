//! The operation log of one cluster: what must outlive the proxy, in one file.
//!
//! A record replaces the one before as a whole and is on disk when [`OperationLog::write`] returns: written
//! beside, synced, renamed, and the folder synced. The folder is locked, so that no second proxy of this
//! machine acts on the same record.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::cluster::operation::Record;

/// Why a cluster cannot heal itself: there is no place for its log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder or a file in it.
    #[error("state_dir: could not use {}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Another proxy has it.
    #[error("state_dir: {} is in use by another process; each proxy needs its own", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// It was not written by us, or not as a whole.
    #[error("state_dir: {} is not an operation log: {cause}; move it away after looking at the cluster", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: serde_json::Error,
    },
}

/// The log of one cluster.
#[derive(Debug)]
pub(super) struct OperationLog {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

impl OperationLog {
    /// Opens or begins the log of a cluster, and reads what it holds.
    pub(super) fn open(folder: &Path, cluster: &str) -> Result<(Self, Option<Record>), LogError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |cause| LogError::File { path, cause }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        let name = file_name(cluster);
        let lock_path = folder.join(format!("{name}.lock"));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LogError::InUse { path: lock_path }),
            Err(TryLockError::Error(cause)) => return Err(LogError::File { path: lock_path, cause }),
        }
        let path = folder.join(format!("{name}.json"));
        let record = match fs::read(&path) {
            Ok(bytes) => {
                let read = serde_json::from_slice(&bytes);
                Some(read.map_err(|cause| LogError::Unreadable { path: path.clone(), cause })?)
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(LogError::File { path, cause }),
        };
        Ok((Self { path, _lock: lock }, record))
    }

    /// Replaces the record; it is on disk when this returns.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        serde_json::to_writer_pretty(&mut file, record)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

/// A cluster's name as that of a file: what is no letter, number, `-` or `_` becomes its number.
fn file_name(cluster: &str) -> String {
    let mut name = String::new();
    for byte in cluster.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_second_owner_is_refused() {
        let folder = std::env::temp_dir().join(format!("howdah-log-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (log, none) = OperationLog::open(&folder, "main/1").unwrap();
        assert_eq!(none, None);
        let record = Record { last_operation: 7, paused: true, ..Record::default() };
        log.write(&record).unwrap();
        assert!(matches!(OperationLog::open(&folder, "main/1"), Err(LogError::InUse { .. })));
        assert!(OperationLog::open(&folder, "other").is_ok());
        drop(log);
        let (_log, read) = OperationLog::open(&folder, "main/1").unwrap();
        assert_eq!(read, Some(record));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_log_that_is_none_is_refused_with_its_name() {
        let folder = std::env::temp_dir().join(format!("howdah-no-log-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("main.json"), "{").unwrap();
        let error = OperationLog::open(&folder, "main").unwrap_err();
        assert!(error.to_string().contains("main.json is not an operation log"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn names_of_clusters_make_names_of_files() {
        assert_eq!(file_name("main-1_B"), "main-1_B");
        assert_eq!(file_name("../é"), "%2E%2E%2F%C3%A9");
    }
}
