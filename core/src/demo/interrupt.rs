//! Ctrl-C and its relatives, for a program that otherwise just waits.

use std::{
    io::{self, Read as _},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

/// Somebody may want us to end.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    state: Arc<(Mutex<bool>, Condvar)>,
}

impl Interrupt {
    /// From now on SIGINT, SIGTERM and SIGHUP no longer end the process; the caller has to.
    pub fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let [mut interrupt, mut terminate, mut hang_up] = {
            let _inside = runtime.enter();
            [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]
        };
        let ours = Self::default();
        let theirs = ours.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
            });
            theirs.ask();
        })?;
        Ok(ours)
    }

    /// From now on the end of standard input counts too. However our parent ends, our input does.
    pub fn heed_end_of_input(&self) -> io::Result<()> {
        let asked = self.clone();
        thread::Builder::new().name("standard input".into()).spawn(move || {
            // An error is an end as well.
            let _ = io::stdin().lock().read_to_end(&mut Vec::new());
            asked.ask();
        })?;
        Ok(())
    }

    /// Waits until somebody wants us to end.
    pub fn wait(&self) {
        let (asked, changed) = &*self.state;
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_while(asked, |asked| !*asked));
    }

    /// Waits for at most so long; whether somebody wants us to end. Once true it stays true.
    pub fn wait_for(&self, limit: Duration) -> bool {
        let (asked, changed) = &*self.state;
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(asked, limit, |asked| !*asked);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether somebody wants us to end.
    pub fn is_asked(&self) -> bool {
        self.wait_for(Duration::ZERO)
    }

    fn ask(&self) {
        let (asked, changed) = &*self.state;
        *asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_end_wakes_who_waits_and_stays() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.is_asked());
        let asking = interrupt.clone();
        let asker = thread::spawn(move || asking.ask());

        interrupt.wait();
        asker.join().unwrap();

        assert!(interrupt.wait_for(Duration::from_secs(60)));
    }
}
