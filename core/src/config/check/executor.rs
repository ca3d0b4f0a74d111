//! Who acts on the machines of nodes: a node's own keys over those of its cluster.

use std::{path::Path, time::Duration};

use super::super::{
    keys::executor::KEYS,
    section::Section,
    types::{Executor, ExecutorKind},
    value::{FromValue, Words},
};

/// Placeholders in commands of the operator.
pub(super) const PLACEHOLDERS: [&str; 7] = ["data_dir", "bin_dir", "node", "op_id", "epoch", "timeout", "mode"];

/// What the cluster says for its nodes; what a node needs is checked with the node.
pub(super) fn of_cluster(section: &Section<'_>) -> Executor {
    read(section, None)
}

/// What counts for one node.
pub(super) fn of_node(section: &Section<'_>, cluster: &Executor) -> Executor {
    let executor = read(section, Some(cluster));
    needs(section, &executor);
    executor
}

fn read(section: &Section<'_>, above: Option<&Executor>) -> Executor {
    let over = |name: &str, above: Option<String>| path_on_machine(section, name).or(above);
    let command = |name: &str, above: Option<&Vec<String>>| command(section, name, above);
    Executor {
        kind: own_or(section, "executor", above.map(|above| above.kind)),
        data_dir: over("data_dir", above.and_then(|above| above.data_dir.clone())),
        bin_dir: over("bin_dir", above.and_then(|above| above.bin_dir.clone())),
        work_dir: over("work_dir", above.and_then(|above| above.work_dir.clone())),
        config_file: over("config_file", above.and_then(|above| above.config_file.clone())),
        log_file: over("log_file", above.and_then(|above| above.log_file.clone())),
        passfile: over("passfile", above.and_then(|above| above.passfile.clone())),
        run_as: section.maybe("run_as").or_else(|| above.and_then(|above| above.run_as.clone())),
        start_command: command("start_command", above.map(|above| &above.start_command)),
        stop_command: command("stop_command", above.map(|above| &above.stop_command)),
        ssh_command: command("ssh_command", above.map(|above| &above.ssh_command)),
        ssh_target: section.maybe("ssh_target").or_else(|| above.and_then(|above| above.ssh_target.clone())),
        agent_address: section.maybe("agent_address").or_else(|| above.and_then(|above| above.agent_address.clone())),
        agent_cert_file: section.file("agent_cert_file").or_else(|| above.and_then(|a| a.agent_cert_file.clone())),
        agent_key_file: section.file("agent_key_file").or_else(|| above.and_then(|a| a.agent_key_file.clone())),
        agent_ca_file: section.file("agent_ca_file").or_else(|| above.and_then(|a| a.agent_ca_file.clone())),
        keep_diverged: own_or(section, "keep_diverged", above.map(|above| above.keep_diverged)),
        timeout: own_or::<Duration>(section, "executor_timeout", above.map(|above| above.timeout)),
    }
}

/// The node's own value, else the cluster's, else the default.
fn own_or<T: FromValue>(section: &Section<'_>, name: &str, above: Option<T>) -> T {
    match above {
        Some(above) => section.maybe(name).unwrap_or(above),
        None => section.value(name),
    }
}

/// A path on a machine that is not ours has nothing to be relative to.
fn path_on_machine(section: &Section<'_>, name: &str) -> Option<String> {
    let path: String = section.maybe(name)?;
    let is_good =
        Path::new(&path).is_absolute() && !path.trim_end_matches('/').is_empty() && !path.contains(['\n', '\r']);
    if !is_good {
        section
            .refuse(name, format!("`{}` is {path:?}, expected an absolute path on one line", section.path.key(name)));
    }
    is_good.then_some(path)
}

fn command(section: &Section<'_>, name: &str, above: Option<&Vec<String>>) -> Vec<String> {
    let command: Vec<String> = own_or(section, name, above.cloned());
    if section.raw(name).is_some() {
        for word in &command {
            if let Err(wrong) = placeholders(word) {
                let path = section.path.key(name);
                section.refuse(name, format!("`{path}` contains {word:?}: {wrong}"));
            }
        }
    }
    command
}

/// Whether all braces are those of placeholders.
fn placeholders(word: &str) -> Result<(), String> {
    for piece in word.split('{').skip(1) {
        let name = piece.split_once('}').map(|(name, _)| name);
        if !name.is_some_and(|name| PLACEHOLDERS.contains(&name)) {
            let known: Vec<_> = PLACEHOLDERS.iter().map(|name| format!("{{{name}}}")).collect();
            return Err(format!("the placeholders are {}", known.join(", ")));
        }
    }
    Ok(())
}

/// What the chosen executor cannot do without.
fn needs(section: &Section<'_>, executor: &Executor) {
    let missing: &[(&str, bool)] = match executor.kind {
        ExecutorKind::None | ExecutorKind::SqlProgram => &[],
        ExecutorKind::Exec | ExecutorKind::Ssh => &[("data_dir", executor.data_dir.is_none())],
        ExecutorKind::Agent => &[
            ("agent_cert_file", executor.agent_cert_file.is_none()),
            ("agent_key_file", executor.agent_key_file.is_none()),
            ("agent_ca_file", executor.agent_ca_file.is_none()),
        ],
    };
    for (name, _) in missing.iter().filter(|(_, is_missing)| *is_missing) {
        debug_assert!(KEYS.iter().any(|key| key.name == *name), "only keys are asked for");
        let kind = executor.kind.word();
        section.refuse("executor", format!("`{}`: {kind:?} needs `{name}`", section.path.key("executor")));
    }
    if executor.kind == ExecutorKind::Ssh && executor.ssh_command.is_empty() {
        section.refuse("ssh_command", format!("`{}` is empty", section.path.key("ssh_command")));
    }
}
