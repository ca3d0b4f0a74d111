//! Asks the console of the running proxy, as its first administrator; `howdah route` does.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use tokio::runtime::Builder;

use crate::{
    auth::Secret,
    config::Config,
    net::stream::SocketOptions,
    server::{ConnectError, ServerTarget, ServerTls, simple::ControlSession, simple::QueryError},
};

/// Longest wait for the console.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody may use the console.
    #[error("admin_users is empty, so nobody may ask the console")]
    NoAdmin,
    /// The runtime.
    #[error("could not start")]
    Start(#[from] std::io::Error),
    /// The proxy is not there, or refuses us.
    #[error("could not reach the console")]
    Connect(#[from] ConnectError),
    /// The console refuses the question.
    #[error("the console refused")]
    Query(#[from] QueryError),
}

/// Where the running proxy would send a statement, one line for each thing that it says.
pub fn explain_route(config: &Config, sql: &str) -> Result<String, AskError> {
    let target = console(config)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let rows = runtime.block_on(async {
        let mut console = ControlSession::connect(&target).await?;
        Ok::<_, AskError>(console.query(&format!("EXPLAIN ROUTE {sql}")).await?)
    })?;
    let mut told = String::new();
    for row in &rows {
        let _ = writeln!(told, "{:<14} {}", row.text(0).unwrap_or_default(), row.text(1).unwrap_or_default());
    }
    Ok(told)
}

/// The console of the running proxy, entered as its first administrator.
pub fn console(config: &Config) -> Result<ServerTarget, AskError> {
    let user = config.admin_users.first().ok_or(AskError::NoAdmin)?;
    Ok(ServerTarget {
        node: Arc::from("console"),
        host: console_host(config),
        port: config.listen_port,
        user: user.as_str().into(),
        database: Arc::from("howdah"),
        secret: config.secrets.get(user).map(|secret| Secret::parse(secret)),
        tls: ServerTls::DISABLED,
        connect_timeout: PATIENCE,
        socket: SocketOptions::default(),
        parameters: Arc::from([]),
    })
}

/// Any address that the proxy listens on.
fn console_host(config: &Config) -> Arc<str> {
    match config.listen_addr.first().map(String::as_str) {
        Some("*" | "0.0.0.0") => "127.0.0.1".into(),
        Some("::") => "::1".into(),
        Some(address) => address.into(),
        None => {
            config.unix_socket_dir.as_ref().map_or_else(|| "127.0.0.1".into(), |folder| folder.to_string_lossy().into())
        }
    }
}
