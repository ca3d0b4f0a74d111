//! Looks at and signals processes by number, without unsafe code: through /proc, `ps` and the shell's `kill`.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// The signals that tests and demos use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ends it at once, without a chance to tidy up.
    Kill,
    /// Asks it to end, when its work is done.
    Terminate,
    /// Asks it to end as Ctrl-C does.
    Interrupt,
    /// Asks it to end at once.
    Quit,
    /// Asks it to read its configuration again.
    HangUp,
    /// Freezes it.
    Stop,
    /// Lets it go on.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Quit => "QUIT",
            Self::HangUp => "HUP",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// Sends a signal to each of the processes; those that are gone already are passed over.
pub fn signal(signal: Signal, pids: &[u32]) {
    let mut command = Command::new("sh");
    command.args(["-c", r#"kill -s "$0" "$@""#, signal.name()]).args(pids.iter().map(u32::to_string));
    // A failure says that a process has gone, which every caller has to expect anyway.
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Whether the process runs. One that ended and waits for its parent to notice does not.
pub fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z')
}

/// Whether the number is still taken, if only by a process that ended and that its parent has not noticed yet.
pub fn exists(pid: u32) -> bool {
    state_and_parent(pid).is_some()
}

/// The processes that `pid` has started and that still run.
pub fn children(pid: u32) -> Vec<u32> {
    if !Path::new("/proc/self/stat").exists() {
        let listed = Command::new("pgrep").arg("-P").arg(pid.to_string()).output();
        let listed = listed.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default();
        return listed.lines().filter_map(|line| line.trim().parse().ok()).collect();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&child| state_and_parent(child).is_some_and(|(_, parent)| parent == pid)).collect()
}

fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(text) => state_and_parent_of(&text),
        Err(_) if Path::new("/proc/self/stat").exists() => None,
        Err(_) => asked_of_ps(pid),
    }
}

/// `4711 (name, which may hold spaces and parentheses) S 1 …`
fn state_and_parent_of(stat: &str) -> Option<(char, u32)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn asked_of_ps(pid: u32) -> Option<(char, u32)> {
    let answer = Command::new("ps").args(["-o", "state=,ppid=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let mut fields = text.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse_the_state() {
        assert_eq!(state_and_parent_of("7 (a) R 9) S 42 1 1"), Some(('S', 42)));
        assert_eq!(state_and_parent_of(""), None);
    }

    #[test]
    fn a_child_is_seen_until_it_is_killed() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(children(std::process::id()).contains(&child.id()));

        signal(Signal::Kill, &[child.id()]);
        child.wait().unwrap();

        assert!(!is_alive(child.id()));
    }
}
