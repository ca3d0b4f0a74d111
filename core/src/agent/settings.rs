//! The agent's own configuration file. It says where things are on its machine, so that no proxy has to be believed
//! about that.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    config::{AGENT_PORT, SslMode, Tls},
    control::host::script::Place,
};

/// The file, checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address and port to listen on.
    #[serde(default = "everywhere")]
    pub listen: SocketAddr,
    /// Our certificate chain, PEM. Proxies check that it is made for the host that they connect to.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// The authority that proxies' certificates come from.
    pub ca_file: PathBuf,
    /// Common names in certificates of proxies; nobody else may ask for anything.
    pub allow: Vec<String>,
    /// The node's name, as the proxies' configuration has it.
    pub node: String,
    /// The data directory.
    pub data_dir: String,
    /// The directory of PostgreSQL's programs; the search path when absent.
    pub bin_dir: Option<String>,
    /// Where jobs keep what they save; the data directory's name with `.howdah` behind when absent.
    pub work_dir: Option<String>,
    /// `postgresql.conf`, when it is not in the data directory.
    pub config_file: Option<String>,
    /// What a started server writes to until its own log is open.
    pub log_file: Option<String>,
    /// A password file for connections to other nodes.
    pub passfile: Option<String>,
    /// Instead of `pg_ctl start`.
    #[serde(default)]
    pub start_command: Vec<String>,
    /// Instead of `pg_ctl stop`.
    #[serde(default)]
    pub stop_command: Vec<String>,
}

fn everywhere() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], AGENT_PORT))
}

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// Its path.
        file: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is not what we expect.
    #[error("{file}: {cause}")]
    Form {
        /// Its path.
        file: String,
        /// Where and what.
        cause: toml::de::Error,
    },
    /// Nobody could ever use us.
    #[error("{file}: `allow` names nobody")]
    Nobody {
        /// Its path.
        file: String,
    },
    /// A path that depends on where we were started.
    #[error("{file}: `{key}` is not an absolute path")]
    Relative {
        /// Its path.
        file: String,
        /// Which key.
        key: &'static str,
    },
}

impl Settings {
    /// Reads the file; paths of certificates start at its directory.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|cause| SettingsError::Read { file: file.clone(), cause })?;
        let mut settings: Self =
            toml::from_str(&text).map_err(|cause| SettingsError::Form { file: file.clone(), cause })?;
        if settings.allow.is_empty() {
            return Err(SettingsError::Nobody { file });
        }
        let is_absolute = |path: &Option<String>| path.as_deref().is_none_or(|path| Path::new(path).is_absolute());
        let paths = [
            ("bin_dir", &settings.bin_dir),
            ("work_dir", &settings.work_dir),
            ("config_file", &settings.config_file),
            ("log_file", &settings.log_file),
            ("passfile", &settings.passfile),
        ];
        let data_dir = Some(settings.data_dir.clone());
        if let Some((key, _)) = paths.into_iter().chain([("data_dir", &data_dir)]).find(|(_, path)| !is_absolute(path))
        {
            return Err(SettingsError::Relative { file, key });
        }
        let base = path.parent().unwrap_or(Path::new(""));
        for path in [&mut settings.cert_file, &mut settings.key_file, &mut settings.ca_file] {
            *path = base.join(&path);
        }
        Ok(settings)
    }

    /// TLS as we want it: who shows no certificate of the authority is not heard.
    pub fn tls(&self) -> Tls {
        Tls {
            sslmode: SslMode::VerifyFull,
            key_file: Some(self.key_file.clone()),
            cert_file: Some(self.cert_file.clone()),
            ca_file: Some(self.ca_file.clone()),
        }
    }

    /// Where things are.
    pub fn place(&self) -> Place {
        let Self { node, data_dir, bin_dir, work_dir, config_file, log_file, passfile, .. } = self.clone();
        Place {
            node,
            data_dir,
            bin_dir,
            work_dir,
            config_file,
            log_file,
            passfile,
            start_command: self.start_command.clone(),
            stop_command: self.stop_command.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let folder = std::env::temp_dir().join(format!("howdah-agent-settings-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("agent.toml");
        fs::write(&file, text).unwrap();
        let settings = Settings::read(&file).map_err(|error| error.to_string());
        fs::remove_dir_all(&folder).unwrap();
        settings
    }

    const GOOD: &str =
        "cert_file = 'a.crt'\nkey_file = 'a.key'\nca_file = '/ca.crt'\nnode = 'n1'\ndata_dir = '/data'\n";

    /// One test, because the folder is named after the process.
    #[test]
    fn a_file_is_read_or_refused_with_a_reason() {
        let settings = read(&format!("{GOOD}allow = ['proxy']")).unwrap();
        assert_eq!(settings.listen.port(), AGENT_PORT);
        assert!(settings.cert_file.is_absolute() && settings.cert_file.ends_with("a.crt"));
        assert_eq!(settings.ca_file, Path::new("/ca.crt"));

        assert!(read(&format!("{GOOD}allow = []")).unwrap_err().ends_with("`allow` names nobody"));
        assert!(read(&format!("{GOOD}allow = ['p']\nshell = 'sh'")).unwrap_err().contains("shell"));
        let relative = GOOD.replace("/data", "data");
        assert!(read(&format!("{relative}allow = ['p']")).unwrap_err().ends_with("`data_dir` is not an absolute path"));
    }
}
