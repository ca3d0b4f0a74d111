//! Runs a program of others' that may never end by itself.

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use howdah::demo::{
    process::{self, Signal},
    wait,
};

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited(ExitStatus),
    /// By us, when its time was over.
    Killed,
}

/// Runs it for at most so long, all that it says going into a file.
pub fn run(command: &mut Command, said: &Path, limit: Duration) -> io::Result<End> {
    let out = File::create(said)?;
    let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0).spawn()?;
    end(child, limit)
}

/// Waits for at most so long.
pub fn end(mut child: Child, limit: Duration) -> io::Result<End> {
    match wait::until(limit, || child.try_wait().transpose()) {
        Some(status) => Ok(End::Exited(status?)),
        None => {
            // Its children first: they would keep the server busy that the next test wants.
            process::signal(Signal::Kill, &process::children(child.id()));
            child.kill()?;
            child.wait()?;
            Ok(End::Killed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let said = std::env::temp_dir().join(format!("howdah-bounded-{}", std::process::id()));
        let mut sh = Command::new("sh");

        let end = run(sh.args(["-c", "echo before; exec tail -f /dev/null"]), &said, Duration::from_millis(300));

        assert_eq!(end.unwrap(), End::Killed);
        assert_eq!(std::fs::read_to_string(&said).unwrap(), "before\n");
        std::fs::remove_file(said).unwrap();
    }
}
