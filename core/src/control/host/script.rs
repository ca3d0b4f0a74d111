//! A job as a shell script: values in front, `verbs.sh`, and the operator's own commands.
//!
//! The script goes to `sh` on its standard input, never on a command line, where everybody on the machine could read
//! the passwords in it.

use super::{
    job::{Job, Source, Step, StopMode, Unfit},
    quote::{conninfo, primary_conninfo, setting, shell},
};

const VERBS: &str = include_str!("verbs.sh");

/// Where things are on a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The node's name, for commands of the operator.
    pub node: String,
    /// The data directory.
    pub data_dir: String,
    /// The directory of PostgreSQL's programs; the search path when absent.
    pub bin_dir: Option<String>,
    /// Where jobs keep what they save; the data directory's name with `.howdah` behind when absent.
    pub work_dir: Option<String>,
    /// `postgresql.conf`, when it is elsewhere.
    pub config_file: Option<String>,
    /// What a started server writes to at first.
    pub log_file: Option<String>,
    /// A password file.
    pub passfile: Option<String>,
    /// Instead of `pg_ctl start`.
    pub start_command: Vec<String>,
    /// Instead of `pg_ctl stop`.
    pub stop_command: Vec<String>,
}

impl Place {
    /// Where jobs keep what they save.
    pub fn work_dir(&self) -> String {
        let beside = || format!("{}.howdah", self.data_dir.trim_end_matches('/'));
        self.work_dir.clone().unwrap_or_else(beside)
    }

    /// The job as a script for this machine.
    pub fn script(&self, job: &Job) -> Result<String, Unfit> {
        job.check()?;
        let values = Values::of(job);
        let mut script = String::with_capacity(VERBS.len() + 2_048);
        let mut set = |name: &str, value: &str| script.push_str(&format!("{name}={}\n", shell(value)));
        set("STEPS", &values.steps.join(" "));
        set("OP_ID", &job.op);
        set("DATA_DIR", self.data_dir.trim_end_matches('/'));
        set("BIN_DIR", self.bin_dir.as_deref().unwrap_or_default());
        set("WORK_DIR", &self.work_dir());
        set("CONFIG_FILE", self.config_file.as_deref().unwrap_or_default());
        set("START_OPTIONS", &self.start_options());
        let log = || format!("{}/howdah.log", self.data_dir.trim_end_matches('/'));
        set("LOG_FILE", &self.log_file.clone().unwrap_or_else(log));
        set("SECONDS_MAX", &job.limit.as_secs().max(1).to_string());
        set("STOP_MODE", values.stop_mode.word());
        set("FOLLOW", &values.follow);
        set("SOURCE", &values.source.map(conninfo).unwrap_or_default());
        set("SLOT", values.slot.unwrap_or_default());
        set("MAX_RATE", &values.max_rate);
        set("KEEP_FROM", values.keep_from.unwrap_or_default());
        for (name, value) in self.environment(job, &values) {
            script.push_str(&format!("{name}={}\nexport {name}\n", shell(&value)));
        }
        script.push_str(VERBS);
        for (name, words) in [("start_command", &self.start_command), ("stop_command", &self.stop_command)] {
            if !words.is_empty() {
                let words: Vec<_> = words.iter().map(|word| shell(&self.fill_in(word, job, &values))).collect();
                script.push_str(&format!("{name}() {{ {}; }}\n", words.join(" ")));
            }
        }
        // The commands must not read the rest of the script.
        script.push_str("main < /dev/null\nexit\n");
        Ok(script)
    }

    /// `pg_ctl` hands them to a shell of its own.
    fn start_options(&self) -> String {
        self.config_file.as_deref().map(|file| format!("-c config_file={}", shell(file))).unwrap_or_default()
    }

    fn environment(&self, job: &Job, values: &Values<'_>) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("LC_ALL", "C".into()),
            ("HOWDAH_NODE", self.node.clone()),
            ("HOWDAH_OP_ID", job.op.clone()),
            ("HOWDAH_EPOCH", job.epoch.to_string()),
            ("HOWDAH_DATA_DIR", self.data_dir.clone()),
            ("PGAPPNAME", format!("howdah {}", job.op)),
            ("PGCONNECT_TIMEOUT", "10".into()),
        ];
        environment.extend(self.passfile.clone().map(|file| ("PGPASSFILE", file)));
        let password = values.source.and_then(|source| source.password.as_ref());
        environment.extend(password.map(|password| ("PGPASSWORD", password.0.clone())));
        environment
    }

    fn fill_in(&self, word: &str, job: &Job, values: &Values<'_>) -> String {
        let epoch = job.epoch.to_string();
        let timeout = job.limit.as_secs().to_string();
        let known = [
            ("{data_dir}", self.data_dir.as_str()),
            ("{bin_dir}", self.bin_dir.as_deref().unwrap_or_default()),
            ("{node}", self.node.as_str()),
            ("{op_id}", job.op.as_str()),
            ("{epoch}", epoch.as_str()),
            ("{timeout}", timeout.as_str()),
            ("{mode}", values.stop_mode.word()),
        ];
        // Each place once: a value that looks like a placeholder stays what it is.
        let mut filled = String::new();
        let mut rest = word;
        while let Some(at) = rest.find('{') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let (name, value) = known.iter().find(|(name, _)| rest.starts_with(name)).copied().unwrap_or(("{", "{"));
            filled.push_str(value);
            rest = &rest[name.len()..];
        }
        filled + rest
    }
}

/// What the steps of a job say together.
struct Values<'a> {
    steps: Vec<&'static str>,
    stop_mode: StopMode,
    follow: String,
    source: Option<&'a Source>,
    slot: Option<&'a str>,
    max_rate: String,
    keep_from: Option<&'a str>,
}

impl<'a> Values<'a> {
    fn of(job: &'a Job) -> Self {
        let mut values = Self {
            steps: Vec::new(),
            stop_mode: StopMode::Fast,
            follow: String::new(),
            source: None,
            slot: None,
            max_rate: String::new(),
            keep_from: None,
        };
        job.steps.iter().for_each(|step| values.take(step));
        if values.steps.is_empty() {
            values.steps.push("status");
        }
        values
    }

    fn take(&mut self, step: &'a Step) {
        match step {
            Step::Status | Step::Start(_) | Step::Disarm => {}
            Step::Stop(mode) => self.stop_mode = *mode,
            Step::Follow(upstream) => {
                let slot = upstream.slot.as_deref().unwrap_or_default();
                let conninfo = setting(&primary_conninfo(upstream));
                self.follow = format!("primary_conninfo = {conninfo}\nprimary_slot_name = {}", setting(slot));
            }
            Step::Rewind(rewind) => {
                self.source = Some(&rewind.source);
                self.keep_from = rewind.keep.as_ref().map(|keep| keep.segment.as_str());
            }
            Step::Rebuild(rebuild) => {
                self.source = Some(&rebuild.source);
                self.slot = rebuild.slot.as_deref();
                self.max_rate = rebuild.max_rate_kib.map(|rate| rate.to_string()).unwrap_or_default();
                self.keep_from = rebuild.keep.as_ref().map(|keep| keep.segment.as_str());
            }
        }
        self.steps.push(step.word());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn job(steps: Vec<Step>) -> Job {
        Job { op: "op-7".into(), epoch: 3, steps, limit: Duration::from_secs(60) }
    }

    fn place() -> Place {
        Place { node: "n1".into(), data_dir: "/data/it's".into(), ..Place::default() }
    }

    #[test]
    fn commands_of_the_operator_get_values_and_stay_single_words() {
        let words = ["ctl", "--dir={data_dir}", "{mode} {timeout}", "{op_id}/{epoch}/{node}"];
        let place = Place { stop_command: words.map(str::to_owned).into(), ..place() };

        let script = place.script(&job(vec![Step::Stop(StopMode::Immediate)])).unwrap();

        let expected = r"stop_command() { 'ctl' '--dir=/data/it'\''s' 'immediate 60' 'op-7/3/n1'; }";
        assert!(script.contains(expected), "{script}");
    }

    #[test]
    fn a_value_that_looks_like_a_placeholder_stays_what_it_is() {
        let place = Place { node: "{data_dir}".into(), ..place() };
        assert_eq!(place.fill_in("{node}{x}", &job(vec![]), &Values::of(&job(vec![]))), "{data_dir}{x}");
    }

    #[test]
    fn what_is_not_of_its_form_becomes_no_script() {
        for (op, ok) in [("op-1", true), ("../x", false), ("", false), ("a b", false)] {
            let job = Job { op: op.into(), ..job(vec![]) };
            assert_eq!(place().script(&job).is_ok(), ok, "{op:?}");
        }
    }
}
