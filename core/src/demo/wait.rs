//! Waits for something that can only be asked for, never told: a server's state.

use std::{thread, time::Duration};

use tokio::time::Instant;

/// Between two questions. Short beside what we wait for (a start, a replay), long beside what a question costs.
const PAUSE: Duration = Duration::from_millis(25);

/// Asks until the answer is `Some` or `limit` has passed.
pub fn until<T>(limit: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = question() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(PAUSE);
    }
}
