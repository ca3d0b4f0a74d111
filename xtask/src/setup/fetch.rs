//! Debian's packages, fetched into a folder and not installed.
//!
//! With lists of their own: so it takes no privileges, and there are source packages, which a machine's own lists
//! usually leave out. What is asked for comes from where the machine's packages come from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::shell;

/// Where the machine's lists of sources are.
const SOURCES_FOLDER: &str = "/etc/apt/sources.list.d";
const SOURCES_FILE: &str = "/etc/apt/sources.list";

/// Fetches packages into one folder.
pub struct Fetcher {
    folder: PathBuf,
}

impl Fetcher {
    /// Lists of the archives that have this package; what is fetched goes into the folder.
    pub fn for_archives_of(package: &str, folder: &Path) -> Result<Self> {
        let archives = archives_of(package);
        if archives.is_empty() {
            bail!("no archive has {package}");
        }
        let (lists, sources) = (folder.join("apt/lists/partial"), folder.join("apt/sources"));
        for needed in [&lists, &sources, &folder.join("apt/cache/archives/partial")] {
            fs::create_dir_all(needed)?;
        }
        let listed = fs::read_dir(SOURCES_FOLDER).into_iter().flatten().flatten().map(|entry| entry.path());
        for file in listed.chain([PathBuf::from(SOURCES_FILE)]) {
            let (Some(name), Ok(text)) = (file.file_name(), fs::read_to_string(&file)) else { continue };
            fs::write(sources.join(name), with_sources(&text, &archives))?;
        }
        let fetcher = Self { folder: folder.to_owned() };
        shell::run(fetcher.apt_get().args(["--quiet", "update"]))?;
        Ok(fetcher)
    }

    /// Fetches a package.
    pub fn fetch(&self, package: &str, version: &str) -> Result<()> {
        shell::run(self.apt_get().args(["--quiet", "download", &format!("{package}={version}")]))
    }

    /// Fetches the files of a source package.
    pub fn fetch_source(&self, source: &str, version: &str) -> Result<()> {
        shell::run(self.apt_get().args(["--quiet", "source", "--download-only", &format!("{source}={version}")]))
    }

    fn apt_get(&self) -> Command {
        let apt = self.folder.join("apt");
        let mut command = Command::new("apt-get");
        command.current_dir(&self.folder).env("DEBIAN_FRONTEND", "noninteractive");
        let settings = [
            ("Dir::Etc::sourcelist", PathBuf::from("/dev/null")),
            ("Dir::Etc::sourceparts", apt.join("sources")),
            ("Dir::State::lists", apt.join("lists")),
            ("Dir::Cache", apt.join("cache")),
        ];
        for (name, path) in settings {
            command.arg("-o").arg(format!("{name}={}", path.display()));
        }
        // The user that apt would otherwise become may not enter our folder.
        command.args(["-o", "APT::Sandbox::User=root"]);
        command
    }
}

/// The addresses of the archives that have any version of a package.
fn archives_of(package: &str) -> Vec<String> {
    let policy = shell::output(Command::new("apt-cache").args(["policy", package])).unwrap_or_default();
    let mut archives: Vec<String> = policy.lines().filter_map(archive_in).collect();
    archives.sort();
    archives.dedup();
    archives
}

/// `        500 http://…/debian bookworm/main amd64 Packages`
fn archive_in(line: &str) -> Option<String> {
    let (_priority, rest) = line.trim().split_once(' ')?;
    rest.ends_with("Packages").then(|| rest.split(' ').next().map(str::to_owned))?
}

/// Those entries of a list, in either of its formats, that are about the archives; with their source packages.
fn with_sources(list: &str, archives: &[String]) -> String {
    let is_meant = |text: &str| {
        let mut words = text.split_whitespace().map(|word| word.trim_end_matches('/'));
        words.any(|word| archives.iter().any(|archive| archive.trim_end_matches('/') == word))
    };
    let mut kept = String::new();
    for entry in list.split("\n\n").filter(|entry| entry.lines().any(|line| line.starts_with("URIs:"))) {
        if entry.lines().any(|line| line.starts_with("URIs:") && is_meant(line)) {
            let lines = entry.lines().map(|line| if line.starts_with("Types:") { "Types: deb deb-src" } else { line });
            kept += &lines.map(|line| format!("{line}\n")).collect::<String>();
            kept.push('\n');
        }
    }
    for line in list.lines().filter(|line| line.starts_with("deb ") && is_meant(line)) {
        kept += &format!("{line}\n{}\n", line.replacen("deb ", "deb-src ", 1));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_read_from_a_policy() {
        let line = "        500 http://archive.example/debian bookworm/main amd64 Packages";

        assert_eq!(archive_in(line).as_deref(), Some("http://archive.example/debian"));
        assert_eq!(archive_in("        100 /var/lib/dpkg/status"), None);
        assert_eq!(archive_in("  Version table:"), None);
    }

    #[test]
    fn the_lists_of_the_archives_that_are_meant_get_their_sources() {
        let archives = ["http://archive.example/debian".to_owned()];
        let stanzas = "Types: deb\n# a comment\nURIs: http://archive.example/debian/\nSuites: bookworm\n\n\
                       Types: deb\nURIs: http://other.example/debian\nSuites: bookworm\n";
        let lines = "deb [signed-by=/k] http://archive.example/debian bookworm main\ndeb http://other.example x main\n";

        let kept = "Types: deb deb-src\n# a comment\nURIs: http://archive.example/debian/\nSuites: bookworm\n\n";
        assert_eq!(with_sources(stanzas, &archives), kept);
        let kept = "deb [signed-by=/k] http://archive.example/debian bookworm main\n\
                    deb-src [signed-by=/k] http://archive.example/debian bookworm main\n";
        assert_eq!(with_sources(lines, &archives), kept);
    }
}
