//! Runs a script with a shell: here, as another user, or on another machine through ssh.

use std::{process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use super::{Listen, error::HostError, lines::Lines, state::NodeState};

/// How long commands have to end by themselves when the time is over.
const FAREWELL: Duration = Duration::from_secs(5);

/// Bytes of output that are read at once.
const READ_BYTES: usize = 4_096;

/// A shell of this machine, as `user` when one is given.
pub(super) fn here(user: Option<&str>) -> Result<Command, HostError> {
    let mut shell = Command::new("sh");
    shell.arg("-s").current_dir("/");
    let Some(user) = user else { return Ok(shell) };
    let unknown = |cause| HostError::Run { program: format!("sh as {user}"), cause };
    let account = nix::unistd::User::from_name(user).map_err(|cause| unknown(cause.into()))?;
    let account = account.ok_or_else(|| unknown(std::io::Error::other("there is no such user")))?;
    // Who is that user already needs no right to become it.
    if nix::unistd::Uid::effective() != account.uid {
        // The standard library drops root's supplementary groups together with the user.
        shell.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    shell.env("HOME", &account.dir).env("USER", user).env("LOGNAME", user);
    Ok(shell)
}

/// A shell of another machine. The remote command is constant; everything else goes to its standard input.
pub(super) fn there(command: &[String], target: &str) -> Command {
    let mut words = command.iter();
    let mut ssh = Command::new(words.next().map_or("ssh", String::as_str));
    // The operator's own options come first, and in ssh the first that says something about a matter counts.
    ssh.args(words);
    for option in ["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"] {
        ssh.arg("-o").arg(option);
    }
    ssh.args(["-T", "--", target, "exec sh -s"]);
    ssh
}

/// Feeds the script to the shell and follows what it says. When this is dropped midway the shell's output has no
/// reader any more: it finishes the command that it is at and begins no other.
pub(super) async fn run(
    mut shell: Command,
    script: String,
    limit: Duration,
    listen: &mut dyn Listen,
    place: &str,
) -> Result<NodeState, HostError> {
    let program = shell.as_std().get_program().to_string_lossy().into_owned();
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that a Ctrl-C for us is none for a rewind.
    let mut child = shell.process_group(0).spawn().map_err(|cause| HostError::Run { program, cause })?;
    let mut lines = Lines::new(listen);
    let outcome = timeout(limit, follow(&mut child, script, &mut lines)).await;
    if outcome.is_err() {
        end(&mut child).await;
        return Err(lines.late(limit));
    }
    lines.outcome(|lines| match lines.has_begun() {
        true => lines.lost(place.to_owned()),
        false => HostError::Unreachable { place: place.to_owned(), said: lines.said(), cause: None },
    })
}

async fn follow(child: &mut Child, script: String, lines: &mut Lines<'_>) {
    let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin.take() {
            // A shell that is gone already says so by its end.
            let _ = stdin.write_all(script.as_bytes()).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::pin!(feed);
    let (mut out, mut err) = ([0; READ_BYTES], [0; READ_BYTES]);
    // A script that is over may have left a server behind that holds on to our pipes.
    while !lines.is_over() && (stdout.is_some() || stderr.is_some()) {
        tokio::select! {
            () = &mut feed => {}
            read = read(&mut stdout, &mut out), if stdout.is_some() => lines.take(&out[..read]),
            read = read(&mut stderr, &mut err), if stderr.is_some() => lines.take(&err[..read]),
        }
    }
    if !lines.is_over() {
        // Only for the process table; that it ended without a word is all that there is to know.
        let _ = child.wait().await;
    }
}

/// Reads once; at its end there is no stream any more.
async fn read<R: AsyncRead + Unpin>(stream: &mut Option<R>, room: &mut [u8]) -> usize {
    let Some(open) = stream else { return 0 };
    let read = open.read(room).await.unwrap_or(0);
    if read == 0 {
        *stream = None;
    }
    read
}

async fn end(child: &mut Child) {
    let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) else { return };
    // Those that have ended already are no failure.
    let _ = kill_process_group(group, Signal::TERM);
    if timeout(FAREWELL, child.wait()).await.is_err() {
        let _ = kill_process_group(group, Signal::KILL);
        let _ = child.wait().await;
    }
}

/// Whether commands here would run as root, which PostgreSQL's programs refuse.
pub(super) fn would_be_root(user: Option<&str>) -> bool {
    user.is_none() && nix::unistd::Uid::effective().is_root()
}
