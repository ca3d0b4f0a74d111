//! From the sources to a checked configuration: defaults < file < environment < flags.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    check,
    layer::Layers,
    problem::{ConfigErrors, Place, Problem, Text},
    section::{Context, ReadFile},
    types::{AuthType, ComponentSource, Config, Tls},
};

/// Where the configuration comes from. Kept, so that a reload reads the same sources again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The TOML file. Relative paths in the configuration start at its directory.
    pub file: Option<PathBuf>,
    /// Environment variables; those that begin with `HOWDAH_` count, `__` goes one table down.
    pub environment: Vec<(String, String)>,
    /// `--set key=value`; the key may be a path such as `clusters.main.control_user`.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The file, the environment of this process, and the flags.
    pub fn new(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Self { file, environment: environment.filter(|(name, _)| name.starts_with("HOWDAH_")).collect(), flags }
    }

    /// Splits the text of a `--set` flag.
    ///
    /// # Errors
    /// A sentence for the user when there is no `=`.
    pub fn flag(text: &str) -> Result<(String, String), String> {
        let (key, value) = text.split_once('=').ok_or_else(|| format!("expected key=value, not {text:?}"))?;
        Ok((key.trim().to_owned(), value.trim().to_owned()))
    }
}

/// Reads and checks everything, including the files that the configuration names.
///
/// # Errors
/// Every problem that was found, in the order of the file; nothing of the configuration is used then.
pub fn load(sources: &Sources) -> Result<Config, ConfigErrors> {
    load_with(sources, &|path| fs::read(path))
}

/// [`load`], with the files coming from `read`: what is checked need not have been written yet.
///
/// # Errors
/// The same.
pub fn load_with(sources: &Sources, read: ReadFile<'_>) -> Result<Config, ConfigErrors> {
    let mut layers = Layers::none();
    if let Some(file) = &sources.file {
        let name = file.display().to_string();
        let text = text_of(file, &name, read)?;
        layers.add_file(&name, &text)?;
    }
    layers.add_environment(&sources.environment);
    layers.add_flags(&sources.flags);

    let base = sources.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let context = Context::new(&layers, base, read);
    let config = check::config(&context);
    match context.problems.into_inner() {
        problems if problems.is_empty() => Ok(config),
        problems => Err(ConfigErrors::new(problems)),
    }
}

fn text_of(file: &Path, name: &str, read: ReadFile<'_>) -> Result<String, Problem> {
    let problem = |place, message| Problem { place, key: String::new(), message };
    let contents =
        read(file).map_err(|error| problem(Place::File(name.to_owned()), format!("cannot be read: {error}")))?;
    String::from_utf8(contents).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        problem(Text::new(name, &valid).place(valid.len()), "not UTF-8".to_owned())
    })
}

/// The files whose change means another configuration: the file itself and every file that it names.
pub fn files(config: &Config, sources: &Sources) -> Vec<PathBuf> {
    let tls = |tls: &Tls| [tls.key_file.clone(), tls.cert_file.clone(), tls.ca_file.clone()];
    let components = config.plugins.all().map(|plugin| match &plugin.component {
        ComponentSource::File(path) => Some(path.clone()),
        ComponentSource::Builtin(_) => None,
    });
    let rules = [config.auth_hba_file.clone(), config.auth_ident_file.clone()];
    let rules = rules.into_iter().filter(|_| config.auth_type == AuthType::Hba);
    let mut files: Vec<PathBuf> = [sources.file.clone(), config.auth_file.clone()]
        .into_iter()
        .chain(components)
        .chain(rules)
        .chain(tls(&config.client_tls))
        .chain(tls(&config.server_tls))
        .flatten()
        .chain(config.hba.lists.iter().cloned())
        .collect();
    files.sort();
    files.dedup();
    files
}

impl Default for Config {
    /// Every key at its default, and no cluster, database, user or plugin. It is not a configuration that
    /// [`load`] would return: that one has a cluster.
    fn default() -> Self {
        let layers = Layers::none();
        let context = Context::new(&layers, Path::new(""), &|_| Err(std::io::ErrorKind::NotFound.into()));
        check::settings(&check::top(&context))
    }
}
