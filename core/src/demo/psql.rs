//! psql as a client: runs a script in one session and hands back what came.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{account::Account, binaries::Binaries, error::ClusterError, node::PASSWORD};

/// Parts the columns of what psql prints; it stands in no value of ours.
const COLUMN_END: char = '\u{1f}';

/// Where and as whom psql connects.
#[derive(Clone, Debug)]
pub struct Psql {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User to log in as.
    pub user: String,
    /// Database.
    pub database: String,
    /// Password, should one be asked for; [`PASSWORD`] unless changed.
    pub password: String,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
    pub(super) folder: PathBuf,
}

/// A result with its column names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows; NULL is an empty text.
    pub rows: Vec<Vec<String>>,
}

impl Psql {
    pub(super) fn new(host: &str, port: u16, account: Account, binaries: Binaries, folder: &Path) -> Self {
        Self {
            host: host.into(),
            port,
            user: super::node::SUPERUSER.into(),
            database: "postgres".into(),
            password: PASSWORD.into(),
            account,
            binaries,
            folder: folder.into(),
        }
    }

    /// The same, in another database.
    pub fn database(&self, database: &str) -> Self {
        Self { database: database.into(), ..self.clone() }
    }

    /// The same, as another user.
    pub fn user(&self, user: &str, password: &str) -> Self {
        Self { user: user.into(), password: password.into(), ..self.clone() }
    }

    /// The same, through another door.
    pub fn port(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// Runs statements one by one in one session, up to the first error; rows come back as lines, columns parted by `|`.
    pub fn ask(&self, sql: &str) -> Result<String, ClusterError> {
        answer(self.command().args(["--no-align", "--tuples-only", "--quiet", "--set", "ON_ERROR_STOP=1"]), sql)
    }

    /// Runs one statement; its rows with the columns' names.
    pub fn table(&self, sql: &str) -> Result<Table, ClusterError> {
        let separator = format!("--field-separator={COLUMN_END}");
        let text = answer(
            self.command().args(["--no-align", "--quiet", "--pset=footer=off", &separator, "--command", sql]),
            "",
        )?;
        Ok(Table::parse(&text))
    }

    /// psql with its connection, to be given more arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.binaries.folder.join("psql"));
        self.account.apply(&mut command).current_dir(&self.folder);
        command.args(["--no-psqlrc", "--host", &self.host, "--port", &self.port.to_string()]);
        command.args(["--username", &self.user, "--dbname", &self.database]);
        command.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "5").env("PGAPPNAME", "psql");
        command
    }
}

impl Table {
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(|line| line.split(COLUMN_END).map(str::to_owned).collect());
        Self { columns: lines.next().unwrap_or_default(), rows: lines.collect() }
    }

    /// A value by its column's name.
    pub fn value<'a>(&'a self, row: &'a [String], column: &str) -> Option<&'a str> {
        let place = self.columns.iter().position(|name| name == column)?;
        row.get(place).map(String::as_str)
    }

    /// All values of a column.
    pub fn column(&self, column: &str) -> Vec<&str> {
        self.rows.iter().filter_map(|row| self.value(row, column)).collect()
    }
}

/// Runs a program to its end.
pub(super) fn finish(command: &mut Command) -> Result<(), ClusterError> {
    answer(command, "").map(drop)
}

/// Runs a program with this input to its end; what it printed, without the last line's end.
fn answer(command: &mut Command, input: &str) -> Result<String, ClusterError> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let task = || ClusterError::io(format!("run {program}"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(task())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input closes it; its exit status tells the rest.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(task())?;
    if !output.status.success() {
        return Err(ClusterError::Program { program, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_columns_name() {
        let table = Table::parse("name\u{1f}lag\nn0\u{1f}\nn1\u{1f}16 kB");

        assert_eq!(table.column("lag"), ["", "16 kB"]);
        assert_eq!(table.value(&table.rows[1], "name"), Some("n1"));
        assert_eq!(table.value(&table.rows[1], "color"), None);
    }
}
