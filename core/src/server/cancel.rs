//! Asks a node to stop the query of another connection.

use tokio::io::AsyncReadExt;

use super::{
    ConnectError, ServerTarget,
    connect::{open, within},
};
use crate::{net::messages::send, wire::ask};

/// Returns once the node has taken note, which it tells by closing; it never tells whether a query was stopped.
///
/// Goes over TLS when connections to the node do, because the key is a secret.
pub async fn cancel(target: &ServerTarget, pid: u32, key: &[u8]) -> Result<(), ConnectError> {
    within(target.connect_timeout, async {
        let mut stream = open(target).await?;
        let mut out = Vec::new();
        ask::cancel_request(&mut out, pid, key);
        send(&mut stream, &mut out).await?;
        // Any end will do: servers close without a word, and under TLS without its goodbye.
        let _ = stream.read(&mut [0]).await;
        Ok(())
    })
    .await
}
