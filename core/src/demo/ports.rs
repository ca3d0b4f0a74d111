//! Chooses free loopback ports.
//!
//! They come from below the kernel's ephemeral range, so that no outgoing connection takes one between
//! our look and the server's start.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How far apart two processes that run at the same time begin to look; prime, so that neighbours spread.
const STRIDE: u32 = 97;

static TAKEN: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that nobody listens on, and that this process has not chosen before.
///
/// `None` when all of the range is in use.
pub fn free_port() -> Option<u16> {
    let start = (process::id().wrapping_mul(STRIDE) % u32::from(COUNT)) as u16;
    (0..COUNT).find_map(|_| {
        let offset = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start.wrapping_add(offset % COUNT)) % COUNT;
        is_free(port).then_some(port)
    })
}

/// Whether nobody listens on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let (one, other) = (free_port().unwrap(), free_port().unwrap());

        assert_ne!(one, other);
        assert!((FIRST..FIRST + COUNT).contains(&one));
    }
}
