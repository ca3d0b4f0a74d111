//! Idle clients by the thousand: logged in, one statement done, then silent.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// For a login on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Protocol 3.0.
const PROTOCOL: u32 = 196_608;

/// The longest message that a login or `SELECT 1` brings.
const MESSAGE_MAX_BYTES: usize = 65_536;

/// Connections that stay as long as this lives.
#[derive(Default)]
pub struct Crowd {
    clients: Vec<TcpStream>,
}

impl Crowd {
    /// Lets clients come in until there are so many.
    pub fn grow(&mut self, port: u16, to: usize) -> Result<()> {
        while self.clients.len() < to {
            let number = self.clients.len() + 1;
            self.clients.push(client(port).with_context(|| format!("idle client {number}"))?);
        }
        Ok(())
    }
}

fn client(port: u16) -> Result<TcpStream> {
    let mut client = TcpStream::connect(("127.0.0.1", port))?;
    client.set_read_timeout(Some(PATIENCE))?;
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let mut startup = ((8 + parameters.len()) as u32).to_be_bytes().to_vec();
    startup.extend(PROTOCOL.to_be_bytes());
    startup.extend(parameters);
    client.write_all(&startup)?;
    until_ready(&mut client)?;
    client.write_all(b"Q\0\0\0\x0dSELECT 1\0")?;
    until_ready(&mut client)?;
    Ok(client)
}

fn until_ready(client: &mut TcpStream) -> Result<()> {
    loop {
        let mut header = [0; 5];
        client.read_exact(&mut header)?;
        let [kind, length @ ..] = header;
        let length = u32::from_be_bytes(length) as usize;
        let body =
            length.checked_sub(4).filter(|body| *body <= MESSAGE_MAX_BYTES).context("a message of odd length")?;
        let mut message = vec![0; body];
        client.read_exact(&mut message)?;
        match kind {
            b'Z' => return Ok(()),
            b'E' => bail!("{}", String::from_utf8_lossy(&message).replace('\0', " ")),
            _ => {}
        }
    }
}
