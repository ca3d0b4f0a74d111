//! The console: a database that is not there, whose statements are commands to the proxy.
//!
//! [`console`] speaks the protocol, [`command`] reads commands, [`execute`] obeys them: what is
//! shown is in [`show`] and [`explain`], what changes something in `act`. [`metrics`] tells
//! Prometheus the same numbers.

mod act;
pub mod command;
mod complaint;
mod console;
pub mod execute;
pub mod explain;
mod extended;
#[cfg(test)]
mod fixture;
mod lexer;
pub mod metrics;
pub mod show;
pub mod table;
mod time;

use std::rc::Rc;

use self::console::Console;
use crate::{client::ClientHello, worker::Worker};

/// Serves an operator until it leaves, is killed, or the proxy ends.
pub async fn serve(worker: Rc<Worker>, hello: ClientHello) {
    if let Some(console) = Console::welcome(worker, hello) {
        // Apart, because whoever waits for this keeps as much memory as it takes.
        Box::pin(console.serve()).await;
    }
}
