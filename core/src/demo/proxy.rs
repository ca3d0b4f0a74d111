//! The proxy as a process of its own: started on a configuration, reloaded, listened to, ended.

use std::{
    collections::VecDeque,
    env, fs,
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{
    config::ProxyConfig,
    error::ClusterError,
    process::{self, Signal},
    wait,
};

/// What the proxy logs when clients may come.
const READY: &str = "ready for clients";

/// For a start: plugins are compiled and nodes probed.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// For an end that waits for nobody.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Log lines that are kept; older ones are forgotten.
const LOG_LINES_MAX: usize = 20_000;

/// Log lines that an error message quotes.
const LOG_LINES_QUOTED: usize = 15;

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct ProxyProcess {
    child: Child,
    port: u16,
    config_file: PathBuf,
    log: Arc<Log>,
}

impl ProxyProcess {
    /// Writes the configuration into the folder, starts `program` on it and waits until it takes clients.
    pub fn start(program: &Path, folder: &Path, config: &ProxyConfig) -> Result<Self, ClusterError> {
        let config_file = folder.join("howdah.toml");
        write_config(&config_file, config)?;
        Self::start_on(program, folder, config_file, config.port())
    }

    /// The same on a file that is there already and has clients connect to this port.
    pub fn start_on(program: &Path, folder: &Path, config_file: PathBuf, port: u16) -> Result<Self, ClusterError> {
        let mut command = Command::new(program);
        // What is set for the demo or the tests is no configuration of the proxy.
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HOWDAH_")) {
            command.env_remove(name);
        }
        command.arg("--config").arg(&config_file).env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // The terminal's Ctrl-C is for us, who end the proxy in good order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let task = || ClusterError::io(format!("start {}", program.display()));
        let mut child = command.spawn().map_err(task())?;
        fs::write(folder.join("proxy.pid"), child.id().to_string()).map_err(task())?;
        let log = Log::follow(child.stderr.take().expect("the pipe was asked for")).map_err(task())?;
        let mut proxy = Self { child, port, config_file, log };
        proxy.wait_until_ready()?;
        Ok(proxy)
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that it was started on.
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// Writes another configuration; it counts after the next reload.
    pub fn rewrite(&self, config: &ProxyConfig) -> Result<(), ClusterError> {
        write_config(&self.config_file, config)
    }

    /// Sends a signal, `HangUp` for a reload.
    pub fn signal(&self, signal: Signal) {
        process::signal(signal, &[self.pid()]);
    }

    /// What it has logged so far.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lock().lines.iter().cloned().collect()
    }

    /// How many lines it has logged so far: where to look for later ones from.
    pub fn log_position(&self) -> usize {
        self.log.lock().counted
    }

    /// Waits for a log line that contains the text, among those after the position.
    pub fn wait_for_log(&self, after: usize, text: &str, limit: Duration) -> Result<String, ClusterError> {
        self.log
            .wait(after, text, limit)
            .ok_or_else(|| ClusterError::Late { event: format!("log line {text:?}"), limit })
    }

    /// Asks it to end, and makes it when it takes longer than `limit`; whether it ended by itself and well.
    pub fn end(&mut self, limit: Duration) -> bool {
        self.signal(Signal::Terminate);
        self.wait_for_end(limit)
    }

    /// Waits for an end that somebody has asked for, and makes it when it takes longer than `limit`.
    pub fn wait_for_end(&mut self, limit: Duration) -> bool {
        let ended = wait::until(limit, || self.child.try_wait().ok().flatten());
        if ended.is_none() {
            // Both can fail only because it has just ended.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        ended.is_some_and(|status| status.success())
    }

    fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        if self.log.wait(0, READY, START_PATIENCE).is_some() {
            return Ok(());
        }
        let lines = self.log_lines();
        let said = lines[lines.len().saturating_sub(LOG_LINES_QUOTED)..].join("\n");
        Err(ClusterError::Program { program: "howdah".into(), said })
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::Continue);
            self.signal(Signal::Quit);
            self.wait_for_end(END_PATIENCE);
        }
    }
}

fn write_config(file: &Path, config: &ProxyConfig) -> Result<(), ClusterError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut files = config.files().iter();
    let written = files.try_for_each(|(name, text)| fs::write(folder.join(name), text));
    // Renamed into place, so that nobody who watches the file sees half of it.
    let fresh = file.with_extension("toml.new");
    let written = written.and_then(|()| fs::write(&fresh, config.to_toml())).and_then(|()| fs::rename(&fresh, file));
    written.map_err(ClusterError::io(format!("write {}", file.display())))
}

/// The log as it comes.
#[derive(Debug, Default)]
struct Log {
    state: Mutex<LogState>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    lines: VecDeque<String>,
    /// All lines ever, those that were forgotten too.
    counted: usize,
    ended: bool,
}

impl Log {
    fn follow(stderr: ChildStderr) -> io::Result<Arc<Self>> {
        let log = Arc::new(Self::default());
        let writer = Arc::clone(&log);
        thread::Builder::new().name("proxy log".into()).spawn(move || {
            for line in BufReader::new(stderr).lines() {
                match line {
                    Ok(line) => writer.push(line),
                    Err(_) => break,
                }
            }
            writer.lock().ended = true;
            writer.grown.notify_all();
        })?;
        Ok(log)
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut state = self.lock();
        state.counted += 1;
        state.lines.push_back(line);
        if state.lines.len() > LOG_LINES_MAX {
            state.lines.pop_front();
        }
        self.grown.notify_all();
    }

    fn wait(&self, after: usize, text: &str, limit: Duration) -> Option<String> {
        let is_over = |state: &mut LogState| state.ended || state.find(after, text).is_some();
        let waited = self.grown.wait_timeout_while(self.lock(), limit, |state| !is_over(state));
        waited.unwrap_or_else(PoisonError::into_inner).0.find(after, text)
    }
}

impl LogState {
    fn find(&self, after: usize, text: &str) -> Option<String> {
        let forgotten = self.counted - self.lines.len();
        self.lines.iter().skip(after.saturating_sub(forgotten)).find(|line| line.contains(text)).cloned()
    }
}
