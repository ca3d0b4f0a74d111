//! The machine's promises, as short stories.

mod detection;
mod every;
mod failover;
mod keeping;
mod lab;
mod switchover;

use self::lab::{Lab, settings};
use super::super::settings::SyncMode;

fn lab(sync: SyncMode) -> Lab {
    Lab::at_work(settings(sync))
}
