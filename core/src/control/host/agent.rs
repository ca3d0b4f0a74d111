//! The executor `agent`: `howdah agent` on the node's machine, over TLS in which both sides show certificates.

use std::{io, time::Duration};

use tokio::{
    net::TcpStream,
    time::{timeout, timeout_at},
};

use super::{
    Host, Listen,
    error::{HostError, Said},
    frame::{self, Answer, Request, SILENCE_MAX, VERSION},
    job::Job,
    state::NodeState,
};
use crate::net::{
    stream::{Plain, Stream},
    tls::Connector,
};

/// The program on the node's machine, as seen from here.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The node's name; the agent has to think so too.
    pub node: String,
    /// Its host, which its certificate has to be made for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Our certificate, and the authority of its.
    pub connector: Connector,
    /// Limit of everything up to the request.
    pub connect_timeout: Duration,
}

impl Host for Agent {
    async fn carry_out(&self, job: &Job, listen: &mut dyn Listen) -> Result<NodeState, HostError> {
        job.check()?;
        let mut stream = match timeout(self.connect_timeout, self.connect()).await {
            Ok(stream) => stream.map_err(|cause| self.unreachable(cause))?,
            Err(_) => return Err(self.unreachable(io::ErrorKind::TimedOut.into())),
        };
        let request = Request { version: VERSION, node: self.node.clone(), job: job.clone() };
        frame::send(&mut stream, &request).await.map_err(|cause| self.unreachable(cause))?;
        self.hear(&mut stream, job.limit, listen).await
    }

    fn reaches_a_node_that_is_down(&self) -> bool {
        true
    }
}

impl Agent {
    async fn connect(&self) -> io::Result<Stream> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        self.connector.connect(Plain::Tcp(tcp), &self.host).await
    }

    async fn hear(
        &self,
        stream: &mut Stream,
        limit: Duration,
        listen: &mut dyn Listen,
    ) -> Result<NodeState, HostError> {
        // The agent keeps the job's own limit; here only its silence counts, and an agent that never ends.
        let end = tokio::time::Instant::now() + limit + SILENCE_MAX;
        let mut step = String::from("the beginning");
        let lost = |step: &str| HostError::Lost { place: self.place(), step: step.to_owned(), said: Said::default() };
        loop {
            let by = end.min(tokio::time::Instant::now() + SILENCE_MAX);
            let answer = match timeout_at(by, frame::receive::<Answer>(stream)).await {
                Ok(Ok(answer)) => answer,
                // An agent that does not believe our certificate says so only now.
                Ok(Err(cause)) if step == "the beginning" => return Err(self.unreachable(cause)),
                _ => return Err(lost(&step)),
            };
            match answer {
                Answer::Alive => {}
                Answer::Line(line) => {
                    if let Some(name) = line.strip_prefix("step ") {
                        name.clone_into(&mut step);
                    }
                    listen.line(&line);
                }
                Answer::Done(state) => return Ok(*state),
                Answer::Failed { step, why, said } => return Err(HostError::Failed { step, why, said: Said(said) }),
                Answer::Busy(op) => return Err(HostError::Busy { place: self.place(), op }),
                Answer::Refused(why) => return Err(HostError::Refused { why }),
            }
        }
    }

    fn place(&self) -> String {
        format!("the agent at {}:{}", self.host, self.port)
    }

    fn unreachable(&self, cause: io::Error) -> HostError {
        HostError::Unreachable { place: self.place(), said: Said::default(), cause: Some(Box::new(cause)) }
    }
}
