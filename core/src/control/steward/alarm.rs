//! Tells a program of the operator's what happened to a cluster: `event_command`.
//!
//! One runs at a time, in the order of the events; when it is behind by [`WAITING_MAX`] the newest are left out,
//! which is logged. How it ends changes nothing.

use std::{process::Stdio, sync::Arc, time::Duration};

use tokio::{process::Command, sync::mpsc, time::timeout};

use crate::cluster::action::{Told, Urgency};

/// Events that may wait for the program.
const WAITING_MAX: usize = 100;

/// Longest time for one event.
const PATIENCE: Duration = Duration::from_secs(60);

/// The way to the program.
pub(super) struct Alarm {
    events: mpsc::Sender<Rung>,
}

/// One event, for a program that may have been configured meanwhile.
struct Rung {
    command: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Alarm {
    pub(super) fn new() -> Self {
        let (events, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(answer(waiting));
        Self { events }
    }

    /// Has the program told, if there is one.
    pub(super) fn ring(&self, command: &[String], cluster: &Arc<str>, told: &Told) {
        if command.is_empty() {
            return;
        }
        let rung = Rung { command: command.to_vec(), environment: environment(cluster, told) };
        if self.events.try_send(rung).is_err() {
            tracing::warn!(cluster = &**cluster, "event_command is behind; it is not told of {}", told.kind);
        }
    }
}

fn environment(cluster: &str, told: &Told) -> Vec<(&'static str, String)> {
    let urgency = match told.urgency {
        Urgency::Info => "info",
        Urgency::Warning => "warning",
        Urgency::Alert => "alert",
    };
    vec![
        ("HOWDAH_EVENT", told.kind.to_owned()),
        ("HOWDAH_URGENCY", urgency.to_owned()),
        ("HOWDAH_CLUSTER", cluster.to_owned()),
        ("HOWDAH_NODE", told.node.as_deref().unwrap_or_default().to_owned()),
        ("HOWDAH_OP_ID", told.operation.map(|id| id.to_string()).unwrap_or_default()),
        ("HOWDAH_EPOCH", told.term.to_string()),
        ("HOWDAH_MESSAGE", told.result.clone()),
    ]
}

async fn answer(mut waiting: mpsc::Receiver<Rung>) {
    while let Some(Rung { command, environment }) = waiting.recv().await {
        let Some((program, arguments)) = command.split_first() else { continue };
        let mut child = Command::new(program);
        child.args(arguments).envs(environment).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let ended = timeout(PATIENCE, async { child.spawn()?.wait().await }).await;
        match ended {
            Ok(Ok(status)) if status.success() => {}
            Ok(Ok(status)) => tracing::warn!("event_command {program:?} ended with {status}"),
            Ok(Err(error)) => tracing::warn!("event_command {program:?} could not be run: {error}"),
            Err(_) => tracing::warn!("event_command {program:?} did not end within {PATIENCE:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_hears_what_happened_in_its_environment() {
        let file = std::env::temp_dir().join(format!("howdah-alarm-{}", std::process::id()));
        let script = "echo \"$HOWDAH_EVENT $HOWDAH_CLUSTER $HOWDAH_NODE $HOWDAH_OP_ID $HOWDAH_EPOCH $HOWDAH_URGENCY $HOWDAH_MESSAGE\" > \"$0.new\" && mv \"$0.new\" \"$0\"";
        let command = ["sh", "-c", script, &file.to_string_lossy()].map(str::to_owned);
        let told = Told {
            urgency: Urgency::Alert,
            kind: "promote",
            operation: Some(3),
            term: 2,
            node: Some("n1".into()),
            result: "it's done".into(),
        };
        Alarm::new().ring(&command, &"main".into(), &told);
        let said = loop {
            match std::fs::read_to_string(&file) {
                Ok(said) => break said,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        assert_eq!(said, "promote main n1 3 2 alert it's done\n");
        std::fs::remove_file(file).unwrap();
    }
}
