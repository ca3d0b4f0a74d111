//! The executor `sql-program`: the node's own server starts the script, and its SQL tells how that went.
//!
//! It needs nothing on the machine but PostgreSQL, and `pg_execute_server_program` and `pg_read_server_files`. It
//! reaches only a node whose server runs. So a job that stops the server also has to bring it back, and how it went
//! is known when the node answers again; until then its report is in a file on its machine.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Host, Listen,
    error::{HostError, Said},
    job::{Job, Step},
    lines::Lines,
    quote::{literal, shell},
    script::Place,
    state::NodeState,
};
use crate::server::{
    ServerTarget,
    simple::{ControlSession, QueryError, Row},
};

/// Between two looks at the report.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Most bytes of a report that are read. Reports are some kilobytes.
const REPORT_MAX_BYTES: usize = 256 * 1024;

/// Where things are, as the server knows it.
const PLACE: &str = "SELECT current_setting('data_directory'), current_setting('config_file'), \
                     (SELECT setting FROM pg_config() WHERE name = 'BINDIR')";

/// A superuser can keep passwords in scripts out of the server's log; anybody else gets an error that does not matter.
const DISCREET: [&str; 3] =
    ["SET log_statement = 'none'", "SET log_min_duration_statement = -1", "SET log_min_error_statement = 'panic'"];

/// The server's own hands.
#[derive(Clone, Debug)]
pub struct SqlProgram {
    /// How to log in.
    pub target: ServerTarget,
    /// What the configuration says of the machine; the server is asked for the rest.
    pub place: Place,
}

impl Host for SqlProgram {
    async fn carry_out(&self, job: &Job, listen: &mut dyn Listen) -> Result<NodeState, HostError> {
        self.check(job)?;
        let mut session = self.log_in().await?;
        let place = self.ask_for_the_place(&mut session).await?;
        let report = format!("{}/{}.report", place.work_dir(), job.op);
        self.launch(&mut session, place.script(job)?, &place, &report).await?;
        drop(session);
        self.await_report(&report, job.limit, listen).await
    }

    fn reaches_a_node_that_is_down(&self) -> bool {
        false
    }
}

impl SqlProgram {
    /// Whoever stops the server here must start it again in the same breath.
    fn check(&self, job: &Job) -> Result<(), HostError> {
        job.check()?;
        let stops = job.steps.iter().position(|step| matches!(step, Step::Stop(_)));
        let starts = job.steps.iter().rposition(|step| matches!(step, Step::Start(_)));
        match (stops, starts) {
            (Some(stops), Some(starts)) if stops < starts => Ok(()),
            (Some(_), _) => Err(self.unable("stop a server and leave it down: nobody could start it again")),
            (None, _) => Ok(()),
        }
    }

    fn unable(&self, what: &'static str) -> HostError {
        HostError::Unable { node: self.target.node.to_string(), executor: "sql-program", what }
    }

    async fn log_in(&self) -> Result<ControlSession, HostError> {
        let connect = ControlSession::connect(&self.target).await;
        connect.map_err(|cause| HostError::Connect { node: self.target.node.to_string(), cause: Box::new(cause) })
    }

    async fn ask_for_the_place(&self, session: &mut ControlSession) -> Result<Place, HostError> {
        let rows = session.query(PLACE).await.map_err(|cause| self.refused("the places of its files", cause))?;
        let text = |column| rows.first().and_then(|row| row.text(column)).map(str::to_owned);
        let data_dir = text(0).ok_or_else(|| self.unable("find the data directory"))?;
        let inside = format!("{data_dir}/postgresql.conf");
        let place = self.place.clone();
        Ok(Place {
            config_file: place.config_file.or(text(1).filter(|file| *file != inside)),
            bin_dir: place.bin_dir.or(text(2)),
            data_dir,
            ..place
        })
    }

    /// The script travels as a parameter and comes out of a setting, so that it is in no statement's text, and on the
    /// machine through a pipe into a file that only the server's user may read.
    async fn launch(
        &self,
        session: &mut ControlSession,
        script: String,
        place: &Place,
        report: &str,
    ) -> Result<(), HostError> {
        for setting in DISCREET {
            match session.query(setting).await {
                Ok(_) | Err(QueryError::Server(_)) => {}
                Err(cause) => return Err(self.refused("the settings of our session", cause)),
            }
        }
        let script = as_csv_lines(&script);
        let remember = [("SELECT set_config('howdah.script', $1, false)", &[script.as_str()][..])];
        session.query_with(&remember).await.map_err(|cause| self.refused("the script", cause))?;
        let command = launcher(&place.work_dir(), report);
        let copy = format!(
            "COPY (SELECT line FROM regexp_split_to_table(current_setting('howdah.script'), E'\\n') AS line) \
             TO PROGRAM {} WITH (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01')",
            literal(&command)
        );
        session.query(&copy).await.map(drop).map_err(|cause| self.refused("COPY TO PROGRAM", cause))
    }

    async fn await_report(
        &self,
        report: &str,
        limit: Duration,
        listen: &mut dyn Listen,
    ) -> Result<NodeState, HostError> {
        let end = Instant::now() + limit;
        let mut lines = Lines::new(listen);
        let mut read = 0;
        let mut session = None;
        while !lines.is_over() {
            if Instant::now() >= end {
                let mut late = lines.late(limit);
                if let HostError::Late { said: Said(said), .. } = &mut late {
                    said.push(format!("what has become of it is in {report} on the machine of {}", self.target.node));
                }
                return Err(late);
            }
            match self.look(&mut session, report).await {
                Ok(text) => {
                    lines.take(text.get(read..).unwrap_or_default());
                    read = read.max(text.len());
                }
                // It is down, or on its way: that is what the script was for.
                Err(_) => session = None,
            }
            if !lines.is_over() {
                sleep(LOOK_INTERVAL).await;
            }
        }
        lines.outcome(|lines| lines.lost(self.target.node.to_string()))
    }

    /// The report as far as it has come.
    async fn look(&self, session: &mut Option<ControlSession>, report: &str) -> Result<Vec<u8>, HostError> {
        let mut open = match session.take() {
            Some(open) => open,
            None => self.log_in().await?,
        };
        let ask =
            format!("SELECT encode(pg_read_binary_file({}, 0, {REPORT_MAX_BYTES}, true), 'hex')", literal(report));
        let within = tokio::time::timeout(self.target.connect_timeout, open.query(&ask)).await;
        let rows = match within {
            Ok(rows) => rows.map_err(|cause| self.refused("its report", cause))?,
            Err(_) => return Err(self.unable("answer in time")),
        };
        *session = Some(open);
        Ok(rows.first().and_then(|row: &Row| row.text(0)).map(unhex).unwrap_or_default())
    }

    fn refused(&self, what: &'static str, cause: QueryError) -> HostError {
        HostError::Query { node: self.target.node.to_string(), what, cause: Box::new(cause) }
    }
}

/// Puts its standard input into a file and has a shell of its own, in a session of its own, work on that: a server
/// that stops signals the process groups of its children.
fn launcher(work_dir: &str, report: &str) -> String {
    let (work_dir, report) = (shell(work_dir), shell(report));
    format!(
        "umask 077; mkdir -p {work_dir} || exit 1; rm -f {work_dir}/*.report; script={report}.sh; cat > \"$script\" || exit 1; : > {report}; \
         detach=setsid; command -v setsid > /dev/null || detach=nohup; \
         $detach sh \"$script\" < /dev/null > {report} 2>&1 &"
    )
}

/// The script so that COPY's CSV leaves it as it is: its quote and its delimiter are in no script, and an empty line
/// would be quoted. The first line takes the file away, which has passwords in it.
fn as_csv_lines(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.is_empty());
    let clean = lines.map(|line| line.replace(['\u{1}', '\u{2}'], ""));
    std::iter::once("rm -f \"$0\"".to_owned()).chain(clean).collect::<Vec<_>>().join("\n")
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_survives_copy_and_removes_itself_first() {
        assert_eq!(as_csv_lines("A='x'\n\nmain\n"), "rm -f \"$0\"\nA='x'\nmain");
        assert_eq!(unhex("4a0aff"), b"J\n\xff");
        assert_eq!(unhex("4"), b"");
    }
}
