//! `howdah agent`: stands on a node's machine and does what a proxy asks for, and nothing but the fixed steps of a job.
//!
//! Both sides show certificates, and only those whose common name is in `allow` are heard. Where the data directory is
//! and which commands stop and start the server, the agent's own [`settings`] say. What comes over the wire is checked
//! ([`Job::check`](crate::control::host::Job::check)) and reaches the script as quoted values. The frames are in
//! [`frame`].

pub mod settings;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc},
    time::{interval, timeout},
};

use self::settings::{Settings, SettingsError};
use crate::{
    control::{
        host::{
            Host, HostError, Job,
            frame::{self, ALPN, Answer, HEARTBEAT, Request, VERSION},
            local::Exec,
        },
        in_words,
    },
    net::{
        stream::{Plain, Stream},
        tls::{Acceptor, TlsError, client_common_name},
    },
};

/// Longest time from a connect to the whole request.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Connections at once. A cluster has a few proxies, and one of them acts.
const CONNECTIONS_MAX: usize = 32;

/// Lines that wait for a proxy that does not read; beyond them lines are left out.
const LINES_MAX: usize = 1_000;

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its file.
    #[error("the agent's configuration is refused")]
    Settings(#[from] SettingsError),
    /// Its certificates.
    #[error("TLS cannot be used")]
    Tls(#[from] TlsError),
    /// PostgreSQL's programs refuse to.
    #[error("PostgreSQL's programs refuse to run as root: run the agent as the user who owns the data directory")]
    Root,
    /// Its address.
    #[error("could not listen on {address}")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The operating system.
    #[error("could not start")]
    Io(#[from] io::Error),
}

/// Serves until SIGTERM or SIGINT. A command that runs then is not cut short, and no other begun.
pub fn run(config: &Path) -> Result<(), AgentError> {
    let settings = Settings::read(config)?;
    crate::telemetry::log::start(&crate::config::Config::default());
    if nix::unistd::Uid::effective().is_root() {
        return Err(AgentError::Root);
    }
    Builder::new_current_thread().enable_all().build()?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), AgentError> {
    let acceptor = Acceptor::load(&settings.tls())?.expect("the mode is not `disable`").speaking(ALPN);
    let failed = |cause| AgentError::Listen { address: settings.listen.to_string(), cause };
    let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
    tracing::info!(address = %settings.listen, node = settings.node, "ready for proxies");
    let hands = Exec { place: settings.place(), run_as: None };
    let agent = Arc::new(Agent { settings, acceptor, hands, at_work: Mutex::default() });
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        let Ok((tcp, from)) = accepted else {
            // Mostly out of file descriptors; whoever holds them needs a moment.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let agent = Arc::clone(&agent);
        tokio::spawn(async move {
            if let Err(error) = agent.receive(tcp).await {
                tracing::warn!(%from, %error, "a connection ended");
            }
            drop(place);
        });
    }
}

struct Agent {
    settings: Settings,
    acceptor: Acceptor,
    hands: Exec,
    /// The operation whose job is being carried out.
    at_work: Mutex<Option<String>>,
}

/// Says that the work is over, however it ends.
struct AtWork<'a>(&'a Mutex<Option<String>>);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Agent {
    async fn receive(&self, tcp: TcpStream) -> io::Result<()> {
        let asked = async {
            tcp.set_nodelay(true)?;
            let mut stream = self.acceptor.accept(Plain::Tcp(tcp), &[]).await?;
            let who = self.who(&stream)?;
            let request = frame::receive::<Request>(&mut stream).await?;
            Ok::<_, io::Error>((stream, who, request))
        };
        let (mut stream, who, request) = timeout(REQUEST_MAX, asked).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let Request { version, node, job } = request;
        if version != VERSION {
            let why = format!("this agent speaks version {VERSION}, not {version}");
            return frame::send(&mut stream, &Answer::Refused(why)).await;
        }
        if node != self.settings.node {
            let why = format!("this is the agent of {}, not of {node}", self.settings.node);
            return frame::send(&mut stream, &Answer::Refused(why)).await;
        }
        let _at_work = match self.begin(&job) {
            Ok(at_work) => at_work,
            Err(op) => return frame::send(&mut stream, &Answer::Busy(op)).await,
        };
        tracing::info!(who, op = job.op, epoch = job.epoch, steps = ?words(&job), "begins");
        let answer = self.work(&mut stream, &job).await?;
        tracing::info!(who, op = job.op, outcome = outcome(&answer), "ended");
        frame::send(&mut stream, &answer).await
    }

    fn who(&self, stream: &Stream) -> io::Result<String> {
        let refuse = |why: String| io::Error::new(io::ErrorKind::PermissionDenied, why);
        let name = client_common_name(stream).map_err(|_| refuse("no certificate".into()))?;
        let name = name.ok_or_else(|| refuse("a certificate without a common name".into()))?;
        let is_allowed = self.settings.allow.contains(&name);
        if is_allowed { Ok(name) } else { Err(refuse(format!("{name:?} is not in `allow`"))) }
    }

    /// One job at a time; the operation that is at work already otherwise. Looking around is always possible.
    fn begin(&self, job: &Job) -> Result<Option<AtWork<'_>>, String> {
        if job.is_a_look() {
            return Ok(None);
        }
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        match &*at_work {
            Some(op) => Err(op.clone()),
            None => {
                *at_work = Some(job.op.clone());
                Ok(Some(AtWork(&self.at_work)))
            }
        }
    }

    /// Carries the job out and passes on what it says. When the proxy goes, no further step is begun.
    async fn work(&self, stream: &mut Stream, job: &Job) -> io::Result<Answer> {
        let (said, mut heard) = mpsc::channel(LINES_MAX);
        let mut listen = |line: &str| drop(said.try_send(line.to_owned()));
        let work = self.hands.carry_out(job, &mut listen);
        tokio::pin!(work);
        let mut heartbeat = interval(HEARTBEAT);
        let mut nothing = [0; 1];
        loop {
            // First what was said: the end comes after it.
            tokio::select! {
                biased;
                Some(line) = heard.recv() => frame::send(stream, &Answer::Line(line)).await?,
                outcome = &mut work => return Ok(answer(outcome)),
                _ = heartbeat.tick() => frame::send(stream, &Answer::Alive).await?,
                // Nothing is to come from a proxy but its end.
                read = stream.read(&mut nothing) => {
                    read?;
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the proxy is gone"));
                }
            }
        }
    }
}

fn answer(outcome: Result<crate::control::host::NodeState, HostError>) -> Answer {
    match outcome {
        Ok(state) => Answer::Done(Box::new(state)),
        Err(HostError::Failed { step, why, said }) => Answer::Failed { step, why, said: said.0 },
        Err(HostError::Late { step, limit, said }) => {
            Answer::Failed { step, why: format!("it did not end within {limit:?}"), said: said.0 }
        }
        Err(HostError::Unfit(unfit)) => Answer::Refused(unfit.to_string()),
        Err(error) => Answer::Failed { step: "the job".into(), why: in_words(&error).to_string(), said: Vec::new() },
    }
}

fn outcome(answer: &Answer) -> &'static str {
    if matches!(answer, Answer::Done(_)) { "done" } else { "failed" }
}

fn words(job: &Job) -> Vec<&'static str> {
    job.steps.iter().map(crate::control::host::Step::word).collect()
}
