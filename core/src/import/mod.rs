//! `howdah import`: writes a `howdah.toml` from the configuration of PgBouncer or of pgpool-II.
//!
//! [`pgbouncer`] and [`pgpool`] each read the other program's file and say key by key what becomes of
//! it; [`page`] writes that down, for the file and for the summary alike. [`files`] finds what files
//! name, [`value`] turns values into TOML. Which keys there are, only `config` knows: a key that it
//! learns is imported from then on.
//!
//! Whatever cannot be imported is replaced by something stricter, never by something laxer: nobody may
//! log in afterwards who could not before.

mod error;
mod files;
mod page;
mod pgbouncer;
mod pgpool;
#[cfg(test)]
mod tests;
mod users;
mod value;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

pub use error::{ImportError, Spot};

use crate::config::{self, Config, ConfigErrors, Sources};
use files::Files;
use page::Tally;
use users::Userlist;

/// The file that is written when nothing else is said.
const OUTPUT: &str = "howdah.toml";

/// The name of an `auth_file` of our own making.
const USERLIST: &str = "userlist.txt";

const EXAMPLES: &str = "\
Examples:
  howdah import /etc/pgbouncer/pgbouncer.ini
      writes howdah.toml, says on standard error what was kept, changed and dropped, and checks it
  howdah import --output - /etc/pgpool2/pgpool.conf
      only shows it
  howdah import --force --output /etc/howdah/howdah.toml pgbouncer.ini
      takes the place of a file that is there already

Exit code 0: the file is written and passes `howdah check`. 1: it is not, or does not; standard error says why.";

/// What to import, and where it goes.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportOptions {
    /// PgBouncer's pgbouncer.ini or pgpool-II's pgpool.conf; what it names and includes is read as well
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The file to write; `-` is standard output
    #[arg(long, short, value_name = "FILE", default_value = OUTPUT)]
    pub output: PathBuf,
    /// Whose configuration it is, should its contents not tell
    #[arg(long, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Overwrite files that are there
    #[arg(long)]
    pub force: bool,
}

/// Whose configuration is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// PgBouncer's.
    Pgbouncer,
    /// pgpool-II's.
    Pgpool,
}

impl Kind {
    /// As its people write it.
    fn name(self) -> &'static str {
        match self {
            Self::Pgbouncer => "PgBouncer",
            Self::Pgpool => "pgpool-II",
        }
    }
}

/// What became of a configuration. There may be passwords in it, so it cannot be printed as a whole.
pub struct Imported {
    /// The configuration.
    pub text: String,
    /// Where it was written; `None` when it is for standard output.
    pub file: Option<PathBuf>,
    /// What was kept, changed and dropped, in lines for the user. Contains no secret.
    pub summary: String,
    /// Where it would be, were it written.
    place: PathBuf,
    /// An `auth_file` that goes with it: its path and contents.
    userlist: Option<(PathBuf, String)>,
}

/// A configuration as it came out, not written yet.
struct Converted {
    text: String,
    tally: Tally,
    /// An `auth_file` that goes with it, called [`USERLIST`].
    userlist: Option<Userlist>,
    /// Whether the text holds a password.
    holds_secrets: bool,
}

/// Reads a configuration and writes ours.
///
/// # Errors
/// The input cannot be read or understood, or the output is there already or cannot be written. When
/// something is wrong with the input, nothing has been written.
pub fn run(options: &ImportOptions) -> Result<Imported, ImportError> {
    let to_file = (options.output != Path::new("-")).then(|| options.output.clone());
    let place = to_file.clone().unwrap_or_else(|| OUTPUT.into());
    let cwd = std::env::current_dir().map_err(|cause| ImportError::Read { file: ".".into(), cause })?;
    let read = |path: &Path| files::read_file(path);
    let files = Files::new(&read, &cwd, &options.file, place.parent().unwrap_or(Path::new("")));
    let kind = match options.kind {
        Some(kind) => kind,
        None => guess(&files)?,
    };
    let converted = convert(kind, &files)?;

    let userlist = converted.userlist.map(|list| (place.with_file_name(USERLIST), list));
    let userlist = userlist.filter(|(path, list)| !(list.is_template && path.exists()));
    let userlist = userlist.map(|(path, list)| (path, list.contents));
    let mut written: Vec<&Path> = Vec::new();
    if let Some(file) = &to_file {
        // Passwords are for nobody else's eyes.
        let mode = if converted.holds_secrets { SECRET_MODE } else { PUBLIC_MODE };
        let mut outputs = vec![(file.as_path(), converted.text.as_str(), mode)];
        outputs.extend(userlist.iter().map(|(path, contents)| (path.as_path(), contents.as_str(), SECRET_MODE)));
        write_all(options.force, &outputs)?;
        written = outputs.iter().map(|(path, ..)| *path).collect();
    }
    let summary = converted.tally.summary(kind.name(), &options.file, &written, converted.holds_secrets);
    Ok(Imported { text: converted.text, file: to_file, summary, place, userlist })
}

/// Modes of new files.
const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

impl Imported {
    /// Whether it is a good configuration, read as it would be from its place. What the environment says
    /// does not count.
    ///
    /// # Errors
    /// All that is wrong with it, as `howdah check` says it: mostly files that are not on this machine.
    pub fn check(&self) -> Result<Config, ConfigErrors> {
        check(&self.place, &self.text, self.userlist.as_ref(), &|path| files::read_file(path))
    }
}

fn check(
    place: &Path,
    text: &str,
    userlist: Option<&(PathBuf, String)>,
    read: config::ReadFile<'_>,
) -> Result<Config, ConfigErrors> {
    let sources = Sources { file: Some(place.to_owned()), ..Sources::default() };
    config::load_with(&sources, &|path| match userlist {
        _ if path == place => Ok(text.as_bytes().to_vec()),
        Some((userlist, contents)) if path == userlist => Ok(contents.as_bytes().to_vec()),
        _ => read(path),
    })
}

fn convert(kind: Kind, files: &Files<'_>) -> Result<Converted, ImportError> {
    match kind {
        Kind::Pgbouncer => pgbouncer::convert(files),
        Kind::Pgpool => pgpool::convert(files),
    }
}

/// PgBouncer's file has sections; pgpool-II's has none, and names its backends.
fn guess(files: &Files<'_>) -> Result<Kind, ImportError> {
    let text = files.main()?;
    let lines = || text.lines().map(str::trim_start).filter(|line| !line.starts_with(['#', ';']));
    if lines().any(|line| line.starts_with('[') || line.starts_with("%include")) {
        return Ok(Kind::Pgbouncer);
    }
    if lines().any(pgpool::is_ours) {
        return Ok(Kind::Pgpool);
    }
    Err(ImportError::UnknownKind { file: files.file.to_owned() })
}

/// Writes all files, or none when one of them is there already and may not be replaced.
fn write_all(force: bool, files: &[(&Path, &str, u32)]) -> Result<(), ImportError> {
    if let Some((file, ..)) = files.iter().find(|(file, ..)| !force && file.exists()) {
        return Err(ImportError::Exists { file: file.to_path_buf() });
    }
    for (file, contents, mode) in files {
        write(file, contents, *mode, force).map_err(|cause| ImportError::Write { file: file.to_path_buf(), cause })?;
    }
    Ok(())
}

fn write(file: &Path, contents: &str, mode: u32, force: bool) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(mode);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let mut file = options.open(file)?;
    if force && mode == SECRET_MODE {
        // The file was there with a mode of its own.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
    }
    file.write_all(contents.as_bytes())
}
