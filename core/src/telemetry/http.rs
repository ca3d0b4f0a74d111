//! Answers GET over HTTP/1.1 with pages made on the spot; enough for scrapers and health checks.
//!
//! One request a connection, bounded in size and time. Which pages there are is up to the caller.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
    time::timeout,
};

/// Longest head of a request. Scrapers send a few hundred bytes.
const HEAD_MAX_BYTES: usize = 8 * 1024;

/// How long a request may take from its first byte to the last of its answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Requests that are answered at once; others wait to be accepted.
const REQUESTS_MAX: usize = 32;

/// How long accepting rests when the process has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// Its `Content-Type`.
    pub kind: &'static str,
    /// What it says.
    pub body: String,
}

impl Page {
    /// A line or two of text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }
}

/// Answers requests until `end`; `pages` makes the page of a path.
pub async fn serve<P>(address: SocketAddr, pages: P, end: impl Future<Output = ()>) -> io::Result<()>
where
    P: Fn(&str) -> Option<Page> + Send + Sync + 'static,
{
    let listener = TcpListener::bind(address).await?;
    tokio::select! {
        () = accept(listener, Arc::new(pages)) => Ok(()),
        () = end => Ok(()),
    }
}

async fn accept<P>(listener: TcpListener, pages: Arc<P>)
where
    P: Fn(&str) -> Option<Page> + Send + Sync + 'static,
{
    let room = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("nobody closes it");
        match listener.accept().await {
            Ok((stream, _)) => {
                let pages = Arc::clone(&pages);
                tokio::spawn(async move {
                    let _place = place;
                    // Whoever breaks off or dawdles gets nothing.
                    let _ = timeout(REQUEST_LIMIT, answer(stream, &*pages)).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept an HTTP request");
                tokio::time::sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn answer<S>(mut stream: S, pages: &impl Fn(&str) -> Option<Page>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = read_head(&mut stream).await?;
    let (page, with_body) = page(&head, pages);
    let mut out = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n{}\r\n",
        page.status,
        reason(page.status),
        page.kind,
        page.body.len(),
        if page.status == 405 { "Allow: GET, HEAD\r\n" } else { "" },
    );
    if with_body {
        out.push_str(&page.body);
    }
    stream.write_all(out.as_bytes()).await?;
    stream.shutdown().await
}

/// Everything up to the empty line; what is longer than allowed is cut.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while !is_whole(&head) && head.len() < HEAD_MAX_BYTES {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

fn is_whole(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n") || head.windows(2).any(|end| end == b"\n\n")
}

/// The page for a request, and whether its body is wanted.
fn page(head: &[u8], pages: &impl Fn(&str) -> Option<Page>) -> (Page, bool) {
    if !is_whole(head) {
        let status = if head.len() >= HEAD_MAX_BYTES { 431 } else { 400 };
        return (Page::text(status, format!("{}\n", reason(status))), true);
    }
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return (Page::text(400, "Bad Request\n"), true);
    };
    if !version.starts_with("HTTP/1.") {
        return (Page::text(400, "Bad Request\n"), true);
    }
    if method != "GET" && method != "HEAD" {
        return (Page::text(405, "Method Not Allowed\n"), true);
    }
    let path = target.split('?').next().unwrap_or_default();
    (pages(path).unwrap_or_else(|| Page::text(404, "Not Found\n")), method == "GET")
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(path: &str) -> Option<Page> {
        (path == "/metrics").then(|| Page::text(200, "a 1\n"))
    }

    async fn asked(request: &[u8]) -> String {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        client.write_all(request).await.unwrap();
        client.shutdown().await.unwrap();
        answer(server, &pages).await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        said
    }

    #[tokio::test]
    async fn a_page_is_given_whole_and_the_connection_closed() {
        let said = asked(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        assert!(said.contains("Content-Length: 4\r\n") && said.contains("Connection: close\r\n"), "{said}");
        assert!(said.ends_with("\r\n\r\na 1\n"), "{said}");
        let said = asked(b"HEAD /metrics HTTP/1.1\r\n\r\n").await;
        assert!(said.contains("Content-Length: 4\r\n") && said.ends_with("\r\n\r\n"), "{said}");
    }

    #[tokio::test]
    async fn whatever_is_asked_there_is_an_answer() {
        let long = [b"GET /metrics HTTP/1.1\r\nA: ".as_slice(), &[b'a'; HEAD_MAX_BYTES]].concat();
        let cases: [(&[u8], &str); 7] = [
            (b"GET /nothing HTTP/1.1\r\n\r\n", "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"GET /metrics HTTP/2\r\n\r\n", "400"),
            (b"GET\r\n\r\n", "400"),
            (b"\xff\xfe\r\n\r\n", "400"),
            (b"", "400"),
            (&long, "431"),
        ];
        for (request, status) in cases {
            let said = asked(request).await;
            assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        }
    }
}
