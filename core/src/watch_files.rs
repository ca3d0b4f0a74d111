//! `config_watch`: reloads when a file of the configuration changes.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use crate::{
    config::{self, Sources},
    worker::Shared,
};

/// Files are read when nothing has happened to them for so long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(300);

/// Changes that wait to be looked at; more mean the same.
const CHANGES_MAX: usize = 16;

/// Watches in the background, if the configuration says so.
pub fn start(shared: &Arc<Shared>, sources: &Sources, runtime: &Handle) {
    if shared.generation.load().config.config_watch {
        runtime.spawn(watch(Arc::clone(shared), sources.clone()));
    }
}

async fn watch(shared: Arc<Shared>, sources: Sources) {
    let (changed, mut changes) = mpsc::channel(CHANGES_MAX);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = changed.try_send(());
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::error!(%error, "could not watch the configuration's files");
            return;
        }
    };
    let mut folders = HashSet::new();
    loop {
        watch_folders(&mut watcher, &mut folders, &shared, &sources);
        if changes.recv().await.is_none() {
            return;
        }
        while timeout(QUIET, changes.recv()).await.is_ok() {}
        // The outcome has been logged.
        let _ = shared.commands.reload("file change").await;
    }
}

/// Folders are watched, not files: a file that is replaced by a new one is another file.
fn watch_folders(watcher: &mut RecommendedWatcher, folders: &mut HashSet<PathBuf>, shared: &Shared, sources: &Sources) {
    let config = Arc::clone(&shared.generation.load().config);
    for file in config::files(&config, sources) {
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if !folders.contains(&folder) {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    folders.insert(folder);
                }
                Err(error) => tracing::warn!(%error, folder = %folder.display(), "could not watch a folder"),
            }
        }
    }
}
