//! What a proxy and a node's agent say to each other, inside of TLS: JSON with its length in front, four bytes in
//! network order. The proxy sends one [`Request`]; the agent sends [`Answer`]s until the last one.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{job::Job, state::NodeState};

/// The version of these words. An agent refuses what is not its own.
pub const VERSION: u32 = 1;

/// The protocol's name in TLS's ALPN, so that neither side talks to something else.
pub const ALPN: &[u8] = b"howdah-agent";

/// Longest frame; a job and an answer have some kilobytes.
const FRAME_MAX_BYTES: usize = 256 * 1024;

/// How often an agent at work says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long the other side may be silent.
pub const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What a proxy asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// The node that is meant. An agent of another one refuses.
    pub node: String,
    /// The job.
    pub job: Job,
}

/// What an agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Still at work.
    Alive,
    /// One line of what it is doing.
    Line(String),
    /// The end: done.
    Done(Box<NodeState>),
    /// The end: a step failed.
    Failed {
        /// Which.
        step: String,
        /// In words.
        why: String,
        /// The last output.
        said: Vec<String>,
    },
    /// The end: another operation's job is at work.
    Busy(String),
    /// The end: nothing was begun.
    Refused(String),
}

impl Answer {
    /// Whether nothing follows it.
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Alive | Self::Line(_))
    }
}

/// Sends one frame.
pub async fn send<T: Serialize + Sync>(stream: &mut (impl AsyncWrite + Unpin + Send), value: &T) -> io::Result<()> {
    let body = serde_json::to_vec(value).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= FRAME_MAX_BYTES);
    let length = length.ok_or_else(|| io::Error::other("too long for a frame"))?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// Takes one frame in. Not to be dropped midway.
pub async fn receive<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin + Send)) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long for a frame"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    serde_json::from_slice(&body).map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_arrives_as_it_was_sent() {
        let job = Job { op: "op-1".into(), epoch: 2, steps: vec![], limit: Duration::from_secs(3) };
        let request = Request { version: VERSION, node: "n1".into(), job };
        let mut bytes = Vec::new();

        send(&mut bytes, &request).await.unwrap();

        assert_eq!(receive::<Request>(&mut &bytes[..]).await.unwrap(), request);
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_or_no_frame_is_refused_before_it_is_read() {
        for bytes in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02{}", b"\0\0\0\x09{}", b"", b"\0\0\0\x04\xff\xff\xff\xff"] {
            assert!(receive::<Request>(&mut &bytes[..]).await.is_err(), "{bytes:?}");
        }
    }
}
