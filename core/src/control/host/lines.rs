//! What a script says, line by line: where it is, what it has found, and what its commands print.

use std::{collections::VecDeque, time::Duration};

use super::{
    Listen,
    error::{HostError, Said},
    state::{ControlData, NodeState},
};
use crate::id::Lsn;

/// Lines of output that an error repeats.
const SAID_LINES: usize = 20;
/// Longest line that is kept.
const LINE_MAX_BYTES: usize = 2_048;

/// Follows one script.
pub(super) struct Lines<'a> {
    listen: &'a mut dyn Listen,
    partial: Vec<u8>,
    said: VecDeque<String>,
    step: String,
    state: NodeState,
    failed: Option<String>,
    done: bool,
    begun: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(listen: &'a mut dyn Listen) -> Self {
        Self {
            listen,
            partial: Vec::new(),
            said: VecDeque::new(),
            step: "the beginning".to_owned(),
            state: NodeState::default(),
            failed: None,
            done: false,
            begun: false,
        }
    }

    /// Takes output in any portions. A carriage return ends a line too: that is how programs show progress.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_of_line(),
                // The rest of a line that is too long is dropped.
                byte if self.partial.len() < LINE_MAX_BYTES => self.partial.push(byte),
                _ => {}
            }
        }
    }

    fn end_of_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned();
        if !line.trim().is_empty() {
            self.line(&line);
        }
    }

    /// Takes one whole line.
    pub(super) fn line(&mut self, line: &str) {
        let Some(ours) = line.strip_prefix('@') else {
            if self.said.len() == SAID_LINES {
                self.said.pop_front();
            }
            self.said.push_back(line.to_owned());
            return self.listen.line(line);
        };
        self.begun = true;
        let (word, rest) = ours.split_once(' ').unwrap_or((ours, ""));
        match word {
            "step" => {
                self.step = rest.to_owned();
                self.listen.line(&format!("step {rest}"));
            }
            "waits" => self.listen.line(&format!("waits for {rest}, which is at work on the same machine")),
            "fail" => self.failed = Some(rest.to_owned()),
            "done" => self.done = true,
            "control" => note_control(self.state.control.get_or_insert_default(), rest),
            "fact" => self.note(rest),
            _ => {}
        }
    }

    fn note(&mut self, fact: &str) {
        let (word, value) = fact.split_once(' ').unwrap_or((fact, ""));
        match word {
            "running" => self.state.running = true,
            "standby.signal" => self.state.standby_signal = true,
            "unfinished" => self.state.unfinished = true,
            "backup_label" => self.state.copy = true,
            "timeline" => self.state.newest_timeline = value.parse().ok(),
            "last-record" => self.state.last_record = lsn(value),
            "kept" => self.listen.line(&format!("kept the diverged log in {value}")),
            _ => {}
        }
    }

    /// Whether the script has said that it is over.
    pub(super) fn is_over(&self) -> bool {
        self.done || self.failed.is_some()
    }

    /// Whether anything of the script has been heard.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(super) fn said(&self) -> Said {
        let partial = String::from_utf8_lossy(&self.partial).into_owned();
        let partial = Some(partial).filter(|line| !line.trim().is_empty() && !line.starts_with('@'));
        Said(self.said.iter().cloned().chain(partial).collect())
    }

    pub(super) fn late(&self, limit: Duration) -> HostError {
        HostError::Late { step: self.step.clone(), limit, said: self.said() }
    }

    pub(super) fn lost(&self, place: String) -> HostError {
        HostError::Lost { place, step: self.step.clone(), said: self.said() }
    }

    /// How it ended; `otherwise` when it never said so.
    pub(super) fn outcome(mut self, otherwise: impl FnOnce(&Self) -> HostError) -> Result<NodeState, HostError> {
        self.end_of_line();
        match self.failed.take() {
            Some(why) => Err(HostError::Failed { step: self.step.clone(), why, said: self.said() }),
            None if self.done => Ok(self.state),
            None => Err(otherwise(&self)),
        }
    }
}

fn lsn(text: &str) -> Option<u64> {
    text.parse::<Lsn>().ok().map(|lsn| lsn.0)
}

/// One line of `pg_controldata`.
///
/// <https://www.postgresql.org/docs/current/app-pgcontroldata.html>
fn note_control(control: &mut ControlData, line: &str) {
    let Some((name, value)) = line.split_once(':') else { return };
    let value = value.trim();
    match name {
        "Database cluster state" => value.clone_into(&mut control.state),
        "Database system identifier" => control.system = value.parse().unwrap_or(0),
        "Latest checkpoint location" => control.checkpoint = lsn(value).unwrap_or(0),
        "Latest checkpoint's TimeLineID" | "Min recovery ending loc's timeline" => {
            control.timeline = control.timeline.max(value.parse().unwrap_or(0));
        }
        "Minimum recovery ending location" => control.min_recovery = lsn(value).unwrap_or(0),
        "Data page checksum version" => control.checksums = value != "0",
        "wal_log_hints setting" => control.wal_log_hints = value == "on",
        "Bytes per WAL segment" => control.segment_bytes = value.parse().unwrap_or(0),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(output: &[u8]) -> (Vec<String>, Result<NodeState, HostError>) {
        let mut heard = Vec::new();
        let mut listen = |line: &str| heard.push(line.to_owned());
        let mut lines = Lines::new(&mut listen);
        for portion in output.chunks(3) {
            lines.take(portion);
        }
        let outcome = lines.outcome(|lines| lines.lost("db1".into()));
        (heard, outcome)
    }

    #[test]
    fn a_script_tells_its_steps_and_what_it_found() {
        let (heard, outcome) = heard(
            b"@step rewind\npg_rewind: servers diverged\n 10/20 kB\r 20/20 kB\r@step status\n@fact timeline 10\n@control Database cluster state:               shut down\n\
              @control Latest checkpoint location:           0/3000028\n@control Latest checkpoint's TimeLineID:       1\n\
              @control Min recovery ending loc's timeline:   2\n@control Data page checksum version:           0\n\
              @control wal_log_hints setting:                on\n@fact last-record 0/3000028\n@done\n",
        );
        let state = outcome.unwrap();

        assert_eq!(heard, ["step rewind", "pg_rewind: servers diverged", " 10/20 kB", " 20/20 kB", "step status"]);
        assert_eq!((state.running, state.newest_timeline, state.last_record), (false, Some(10), Some(0x300_0028)));
        let control = state.control.unwrap();
        assert_eq!((control.state.as_str(), control.timeline, control.checkpoint), ("shut down", 2, 0x300_0028));
        assert_eq!((control.checksums, control.wal_log_hints, control.is_clean()), (false, true, true));
    }

    #[test]
    fn a_failure_repeats_the_last_lines_and_no_more() {
        let mut output = b"@step rewind\n".to_vec();
        (0..100).for_each(|n| output.extend_from_slice(format!("line {n}\n").as_bytes()));
        output.extend_from_slice(b"@fail pg_rewind ended with status 1\n");

        let error = heard(&output).1.unwrap_err().to_string();

        assert!(error.starts_with("rewind failed: pg_rewind ended with status 1\n  line 80\n"), "{error}");
        assert!(error.ends_with("line 99"), "{error}");
    }

    #[test]
    fn whatever_a_machine_says_is_survived() {
        let long = vec![b'x'; 100_000];
        for output in [&b""[..], b"@", b"@fact", b"@control", b"@control :", b"\xff\xfe\n", b"@fact timeline x", &long]
        {
            assert!(matches!(heard(output).1, Err(HostError::Lost { .. })));
        }
    }
}
