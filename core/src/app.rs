//! Puts the parts together: configuration, control plane, workers, and what signals mean.

use std::{io, path::PathBuf, rc::Rc, sync::Arc, thread};

use tokio::runtime::{Builder, LocalOptions};

use crate::{
    config::{self, Config, ConfigErrors, Scheduling, Sources},
    generation::builder,
    net::{
        listener::{self, Listener, UnixSocket},
        stream::SocketOptions,
    },
    operate::Commands,
    shutdown::{Phase, Shutdown},
    signals, upkeep,
    worker::{Shared, Worker, inquiry},
};

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error("{0}")]
    Config(ConfigErrors),
    /// A policy or a file of the configuration is refused.
    #[error(transparent)]
    Generation(#[from] builder::BuildError),
    /// An address could not be listened on.
    #[error("could not listen on {address}")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Something the operating system refused.
    #[error("could not start")]
    Io(#[from] io::Error),
}

/// Runs the proxy until it is told to stop.
pub fn run(sources: Sources) -> Result<(), StartError> {
    let config = config::load(&sources).map_err(StartError::Config)?;
    crate::telemetry::log::start(&config);
    let (commands, commanded) = Commands::channel();
    let mut control = crate::conductor::Conductor::new()?;
    let shutdown = Shutdown::default();
    let first = Arc::new(control.first_generation(config)?);
    let config = Arc::clone(&first.config);
    let shared = Arc::new(Shared::new(first, commands, shutdown.clone()));
    let _pidfile = config.pidfile.clone().map(Pidfile::write).transpose()?;
    let (workers, _unix_socket) = start_workers(&config, &shared, &shutdown)?;
    control.serve(Arc::clone(&shared), sources, commanded)?;
    for address in listener::addresses(&config.listen_addr, config.listen_port)? {
        tracing::info!(%address, workers = config.workers, "ready for clients");
    }
    signals::notify("READY=1");
    for worker in workers {
        let _ = worker.join();
    }
    Ok(())
}

/// Does all that a start or a reload does before it changes anything.
pub fn check(sources: &Sources) -> Result<(), StartError> {
    let config = config::load(sources).map_err(StartError::Config)?;
    crate::conductor::Conductor::new()?.first_generation(config)?;
    Ok(())
}

type Workers = Vec<thread::JoinHandle<()>>;

fn start_workers(
    config: &Config,
    shared: &Arc<Shared>,
    shutdown: &Shutdown,
) -> Result<(Workers, Option<UnixSocket>), StartError> {
    let failed = |address: &dyn ToString| {
        let address = address.to_string();
        move |cause| StartError::Listen { address, cause }
    };
    let names = config.listen_addr.join(", ");
    let addresses = listener::addresses(&config.listen_addr, config.listen_port).map_err(failed(&names))?;
    let unix = match &config.unix_socket_dir {
        Some(directory) => Some(
            UnixSocket::bind(directory, config.listen_port, config.unix_socket_mode)
                .map_err(failed(&directory.display()))?,
        ),
        None => None,
    };
    let mut workers = Vec::new();
    for id in 0..config.workers {
        let mut tcp = Vec::new();
        for address in &addresses {
            tcp.push(listener::bind_shared(*address, &SocketOptions::from(config)).map_err(failed(address))?);
        }
        let unix = unix.as_ref().map(UnixSocket::share).transpose()?;
        let shared = Arc::clone(shared);
        let shutdown = shutdown.clone();
        let thread = thread::Builder::new().name(format!("worker-{id}"));
        workers.push(thread.spawn(move || work(id, shared, tcp, unix, shutdown))?);
    }
    Ok((workers, unix))
}

/// One worker's thread.
fn work(
    id: usize,
    shared: Arc<Shared>,
    tcp: Vec<std::net::TcpListener>,
    unix: Option<std::os::unix::net::UnixListener>,
    shutdown: Shutdown,
) {
    crate::plugin::Engine::prepare_thread();
    crate::pool::worker::become_worker(id);
    if shared.generation.load().config.worker_scheduling == Scheduling::Batch {
        schedule_as_batch();
    }
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
    let Ok(runtime) = runtime else {
        tracing::error!(worker = id, "could not start a runtime");
        return;
    };
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(id, shared));
        let tcp = tcp.into_iter().filter_map(|tcp| tokio::net::TcpListener::from_std(tcp).ok()).map(Listener::Tcp);
        let unix = unix.and_then(|unix| tokio::net::UnixListener::from_std(unix).ok()).map(Listener::Unix);
        for listener in tcp.chain(unix) {
            tokio::task::spawn_local(crate::proxy::accept(Rc::clone(&worker), listener, shutdown.clone()));
        }
        tokio::task::spawn_local(upkeep::upkeep(Rc::clone(&worker)));
        tokio::task::spawn_local(inquiry::answer(worker));
        shutdown.reached(Phase::Now).await;
    });
}

/// Has this thread wait, when it is woken, until what runs has done its share.
///
/// A proxy is woken by those who wait for it next. Where it pushes them aside it finds one event at a
/// time; where it lets them go on it finds several, and each costs less. A machine that has a core to
/// spare runs it at once either way.
#[cfg(target_os = "linux")]
fn schedule_as_batch() {
    use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, unix};
    let nice = rustix::process::getpriority_process(None);
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let middle = ThreadPriority::Crossplatform(50.try_into().expect("fifty is below a hundred"));
    // It sets a priority as well, which is the operator's.
    if let Err(error) = unix::set_thread_priority_and_policy(unix::thread_native_id(), middle, policy) {
        tracing::debug!(?error, "the worker is scheduled as any thread");
    }
    if let Ok(nice) = nice {
        let _ = rustix::process::setpriority_process(None, nice);
    }
}

#[cfg(not(target_os = "linux"))]
fn schedule_as_batch() {}

/// A file with our process id, removed with its owner.
struct Pidfile(PathBuf);

impl Pidfile {
    fn write(path: PathBuf) -> io::Result<Self> {
        std::fs::write(&path, format!("{}\n", std::process::id()))?;
        Ok(Self(path))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
