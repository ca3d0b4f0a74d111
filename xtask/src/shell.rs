//! Runs other programs, and prints what all commands print alike.

use std::{
    env,
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The workspace's root.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), |given| workspace().join(given))
}

/// Where we put what we get from elsewhere; it goes with `cargo clean`.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// The cargo that runs us.
pub fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where a program is on the search path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    // An ordinary user's path often leaves the daemons' folders out.
    let usual = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&folders).chain(usual).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Runs a program, its output going where ours goes.
pub fn run(command: &mut Command) -> Result<()> {
    flush();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("could not run {}", show(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", show(command));
    }
    Ok(())
}

/// Runs a program; what it printed, trimmed.
pub fn output(command: &mut Command) -> Result<String> {
    let answer = command.stdin(Stdio::null()).output().with_context(|| format!("could not run {}", show(command)))?;
    if !answer.status.success() {
        bail!("{} failed: {}", show(command), String::from_utf8_lossy(&answer.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

/// The program and its arguments, never its environment: that may hold a password.
pub fn show(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    command.get_args().fold(program, |line, argument| line + " " + &argument.to_string_lossy())
}

/// Prints a section's heading.
pub fn heading(text: &str) {
    println!("\n== {text}");
    flush();
}

/// Prints one line of a section: what, and how it stands.
pub fn item(name: &str, text: &str) {
    println!("  {name:<14} {text}");
    flush();
}

fn flush() {
    // A closed pipe shows at the next print.
    let _ = std::io::stdout().flush();
}
