//! Finds the files that a configuration names, and says how ours has to name them.
//!
//! PgBouncer's relative paths start where it was started, pgpool-II's at its file, ours at ours.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use super::ImportError;
use crate::config::ReadFile;

/// The largest file that is read. The longest lists of users have some megabytes.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// Reads a file of a size that can be one of ours.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    File::open(path)?.take(FILE_MAX_BYTES + 1).read_to_end(&mut contents)?;
    match contents.len() as u64 > FILE_MAX_BYTES {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 64 MiB")),
        false => Ok(contents),
    }
}

/// The files of one import.
pub(super) struct Files<'a> {
    read: ReadFile<'a>,
    /// The working directory.
    cwd: &'a Path,
    /// The file that is imported.
    pub file: &'a Path,
    /// The folder of the file that is to be written.
    beside: &'a Path,
}

impl<'a> Files<'a> {
    pub(super) fn new(read: ReadFile<'a>, cwd: &'a Path, file: &'a Path, beside: &'a Path) -> Self {
        Self { read, cwd, file, beside }
    }

    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, ImportError> {
        (self.read)(path).map_err(|cause| ImportError::Read { file: path.to_owned(), cause })
    }

    /// The imported file, as far as it is text.
    pub(super) fn main(&self) -> Result<String, ImportError> {
        Ok(String::from_utf8_lossy(&self.read(self.file)?).into_owned())
    }

    pub(super) fn is_there(&self, path: &Path) -> bool {
        (self.read)(path).is_ok()
    }

    /// The file that PgBouncer means by this text in `by`: from the working directory on, and should it
    /// not be there, from the folder of `by`, where it is when PgBouncer was started from there.
    pub(super) fn as_typed(&self, text: &str, by: &Path) -> PathBuf {
        let here = PathBuf::from(text);
        if here.is_absolute() || self.is_there(&here) { here } else { Self::from_folder(text, by) }
    }

    /// The file that this text means from the folder of `by` on.
    pub(super) fn from_folder(text: &str, by: &Path) -> PathBuf {
        by.parent().unwrap_or(Path::new("")).join(text)
    }

    /// How a file is to be named in ours: as short as the other configuration did when that leads to the
    /// same file, else in full.
    pub(super) fn named(&self, text: &str, found: &Path) -> String {
        let same = self.absolute(&self.beside.join(text)) == self.absolute(found);
        if same { text.to_owned() } else { self.absolute(found).display().to_string() }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        let mut absolute = PathBuf::new();
        for part in self.cwd.join(path).components() {
            match part {
                Component::CurDir => {}
                // `a/../b` may be elsewhere than `b` when `a` is a link; such a path is left as it is.
                part => absolute.push(part),
            }
        }
        absolute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files<'a>(read: ReadFile<'a>, beside: &'a str) -> Files<'a> {
        Files::new(read, Path::new("/home/ann"), Path::new("/etc/pgbouncer/pgbouncer.ini"), Path::new(beside))
    }

    fn only(there: &'static str) -> impl Fn(&Path) -> io::Result<Vec<u8>> {
        move |path| if path == Path::new(there) { Ok(Vec::new()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    #[test]
    fn a_relative_path_starts_where_the_file_is_there() {
        let table = [
            ("users.txt", "users.txt"),
            ("/etc/pgbouncer/users.txt", "/etc/pgbouncer/users.txt"),
            ("nowhere", "/etc/pgbouncer/users.txt"),
        ];
        for (there, expected) in table {
            let found = files(&only(there), "").as_typed("users.txt", Path::new("/etc/pgbouncer/pgbouncer.ini"));

            assert_eq!(found, Path::new(expected), "{there}");
        }
    }

    #[test]
    fn a_file_is_named_from_the_new_place_on() {
        let named = |beside: &str, text: &str, found: &str| files(&only(""), beside).named(text, Path::new(found));

        assert_eq!(named("/etc/pgbouncer", "users.txt", "/etc/pgbouncer/users.txt"), "users.txt");
        assert_eq!(named("/etc/howdah", "users.txt", "/etc/pgbouncer/users.txt"), "/etc/pgbouncer/users.txt");
        assert_eq!(named("", "users.txt", "./users.txt"), "users.txt");
        assert_eq!(named("/etc/howdah", "./users.txt", "users.txt"), "/home/ann/users.txt");
        assert_eq!(named("/etc", "/run/a.pem", "/run/a.pem"), "/run/a.pem");
    }

    #[test]
    fn what_is_no_configuration_file_is_not_read_for_ever() {
        assert_eq!(read_file(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
