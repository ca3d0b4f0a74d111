//! tokio-postgres as a client: connected, and its connection driven.

use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// The superuser in this database, through the proxy or straight to a node.
pub async fn connect(port: u16, database: &str) -> Client {
    connect_with(config(port, database)).await
}

/// Where [`connect`] connects, to be changed.
pub fn config(port: u16, database: &str) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).dbname(database).user("postgres");
    config
}

/// A client with a configuration of its own.
pub async fn connect_with(config: Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("a client gets in");
    // How the connection ends, the client's next call says.
    tokio::spawn(async { connection.await.ok() });
    client
}

/// The first column of the first row of a simple query.
pub async fn ask(client: &Client, sql: &str) -> Result<String, tokio_postgres::Error> {
    let rows = client.simple_query(sql).await?;
    let first = rows.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(first.unwrap_or_default().to_owned())
}

/// The SQLSTATE of an error; empty when it is none of a server.
pub fn sqlstate(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("", |code| code.code())
}
