//! Finds PostgreSQL's programs on this machine: the newest version that has all of them wins.
//!
//! Standard library only, because `xtask` includes this very file: it looks for PostgreSQL before
//! anything else can be built.

use std::{
    collections::BTreeSet,
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Names the folder of the programs and ends the search.
pub const BINDIR_VARIABLE: &str = "HOWDAH_PG_BINDIR";

/// The oldest major version that the proxy is made for.
pub const OLDEST_MAJOR: u32 = 15;

/// What a cluster is made with and looked at.
const PROGRAMS: [&str; 6] = ["initdb", "pg_ctl", "postgres", "pg_basebackup", "psql", "pgbench"];

/// Folders of distributions and package managers; a `*` stands for one path element or a part of it.
const USUAL_FOLDERS: [&str; 6] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
];

/// A folder that has all of PostgreSQL's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub folder: PathBuf,
    /// Major version, such as 15.
    pub major: u32,
}

/// Why no usable PostgreSQL was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoBinaries {
    /// What was there and why it will not do.
    pub refused: Vec<String>,
}

impl std::error::Error for NoBinaries {}

impl fmt::Display for NoBinaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no PostgreSQL {OLDEST_MAJOR} or newer with its server programs was found")?;
        for reason in &self.refused {
            write!(f, "; {reason}")?;
        }
        Ok(())
    }
}

impl Binaries {
    /// Looks at `HOWDAH_PG_BINDIR` alone when it is set, else at the search path, `pg_config` and the usual folders.
    pub fn find() -> Result<Self, NoBinaries> {
        let folders = match env::var_os(BINDIR_VARIABLE) {
            Some(folder) => BTreeSet::from([PathBuf::from(folder)]),
            None => candidates(),
        };
        newest(folders)
    }
}

fn newest(folders: impl IntoIterator<Item = PathBuf>) -> Result<Binaries, NoBinaries> {
    let mut refused = Vec::new();
    let mut best: Option<Binaries> = None;
    for folder in folders {
        match inspect(&folder) {
            Ok(found) if best.as_ref().is_none_or(|best| found.major > best.major) => best = Some(found),
            Ok(_) => {}
            Err(reason) => refused.push(format!("{}: {reason}", folder.display())),
        }
    }
    best.ok_or(NoBinaries { refused })
}

fn inspect(folder: &Path) -> Result<Binaries, String> {
    if let Some(missing) = PROGRAMS.iter().find(|name| !folder.join(name).exists()) {
        return Err(format!("has no {missing}"));
    }
    let answer = Command::new(folder.join("postgres")).arg("--version").output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&answer.stdout);
    let major = major_version(&text).ok_or_else(|| format!("postgres --version says {:?}", text.trim()))?;
    if major < OLDEST_MAJOR {
        return Err(format!("is version {major}"));
    }
    Ok(Binaries { folder: folder.to_owned(), major })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and `postgres (PostgreSQL) 19beta1` are of majors 15 and 19.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn candidates() -> BTreeSet<PathBuf> {
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let linked = on_path.into_iter().filter_map(|folder| fs::canonicalize(folder.join("postgres")).ok());
    let mut folders: BTreeSet<PathBuf> = linked.filter_map(|program| program.parent().map(Path::to_owned)).collect();
    folders.extend(asked_of_pg_config().filter(|folder| folder.join("postgres").exists()));
    folders.extend(USUAL_FOLDERS.iter().flat_map(|pattern| matching(pattern)));
    folders
}

fn asked_of_pg_config() -> impl Iterator<Item = PathBuf> {
    let answer = Command::new("pg_config").arg("--bindir").output().ok();
    answer.and_then(|answer| String::from_utf8(answer.stdout).ok()).map(|text| PathBuf::from(text.trim())).into_iter()
}

/// The existing folders that a pattern with `*` stands for.
pub fn matching(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for element in pattern.split('/').filter(|element| !element.is_empty()) {
        found = match element.split_once('*') {
            None => found.into_iter().map(|folder| folder.join(element)).filter(|path| path.exists()).collect(),
            Some((start, end)) => found.iter().flat_map(|folder| children(folder, start, end)).collect(),
        };
    }
    found
}

fn children(folder: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let fits = |name: &str| name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end);
    entries.filter(|entry| entry.file_name().to_str().is_some_and(fits)).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        for (text, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 19beta1\n", Some(19)),
            ("postgres (PostgreSQL) devel", None),
            ("", None),
        ] {
            assert_eq!(major_version(text), major, "{text:?}");
        }
    }

    #[test]
    fn a_folder_without_the_programs_is_named_in_the_refusal() {
        let refused = newest([PathBuf::from("/nonexistent")]).unwrap_err();

        assert!(refused.to_string().contains("/nonexistent: has no initdb"), "{refused}");
    }

    #[test]
    fn a_star_stands_for_a_part_of_a_path_element() {
        assert!(matching("/et*").contains(&PathBuf::from("/etc")));
        assert!(matching("/nonexistent*/bin").is_empty());
    }
}
