//! TLS on both sides: which certificates we show, and which we believe.
//!
//! The modes are libpq's `sslmode` as PgBouncer reads them. Only the authorities in `ca_file` are
//! believed; the system's are not looked at.

use std::{fmt, io, path::Path, sync::Arc};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        client::Resumption,
        crypto::CryptoProvider,
        server::{NoServerSessionStorage, WebPkiClientVerifier},
    },
};

use super::{
    certificate,
    stream::{Plain, Stream},
    verify::{ServerCertificate, Strictness},
};
use crate::config::{SslMode, Tls};

/// The protocol's name in ALPN, which direct TLS must agree on.
/// <https://www.postgresql.org/docs/17/protocol-flow.html#PROTOCOL-FLOW-SSL>
const ALPN: &[u8] = b"postgresql";

/// Why the TLS settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The mode needs a file that is not set.
    #[error("sslmode {mode} needs {key}")]
    Missing {
        /// The mode, as in the file.
        mode: &'static str,
        /// The end of the key's name: `key_file`, `cert_file` or `ca_file`.
        key: &'static str,
    },
    /// The file is unreadable or not PEM.
    #[error("cannot read {file}")]
    Read {
        /// Its path.
        file: String,
        /// What the reader says.
        #[source]
        cause: rustls_pki_types::pem::Error,
    },
    /// The file is PEM but holds no certificate.
    #[error("{file} contains no certificate")]
    Empty {
        /// Its path.
        file: String,
    },
    /// The certificate or key is not usable, or they do not belong together.
    #[error("cannot use {file}")]
    Unusable {
        /// The path of the certificates.
        file: String,
        /// What is wrong.
        #[source]
        cause: rustls::Error,
    },
    /// The authorities are not usable.
    #[error("cannot verify clients by {file}: {cause}")]
    Verifier {
        /// The path of the authorities.
        file: String,
        /// What is wrong.
        cause: rustls::server::VerifierBuilderError,
    },
}

/// Takes clients' TLS connections.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    required: bool,
    end_point: Option<Vec<u8>>,
}

/// Opens TLS connections to servers.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("required", &self.required).finish_non_exhaustive()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Acceptor {
    /// Reads the files of `client_tls_*`; `None` when the mode is `disable`.
    pub fn load(tls: &Tls) -> Result<Option<Self>, TlsError> {
        if tls.sslmode == SslMode::Disable {
            return Ok(None);
        }
        let mode = tls.sslmode;
        let cert_file = required(tls.cert_file.as_deref(), mode, "cert_file")?;
        let key_file = required(tls.key_file.as_deref(), mode, "key_file")?;
        let chain = certificates(cert_file)?;
        let end_point = chain.first().and_then(|leaf| certificate::end_point(leaf));
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions");
        let is_demanded = mode >= SslMode::VerifyCa;
        if is_demanded {
            required(tls.ca_file.as_deref(), mode, "ca_file")?;
        }
        let builder = match tls.ca_file.as_deref() {
            Some(ca_file) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca_file)?.into(), provider);
                // A rule of `auth_hba_file` may demand one of some clients only.
                let verifier = if is_demanded { verifier } else { verifier.allow_unauthenticated() };
                let verifier = verifier
                    .build()
                    .map_err(|cause| TlsError::Verifier { file: ca_file.display().to_string(), cause })?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, private_key(key_file)?)
            .map_err(|cause| TlsError::Unusable { file: cert_file.display().to_string(), cause })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // PostgreSQL's clients never resume a session, so tickets would only cost.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Some(Self { config: Arc::new(config), required: mode >= SslMode::Require, end_point }))
    }

    /// Whether clients that come over TCP must use TLS.
    pub fn required(&self) -> bool {
        self.required
    }

    /// What SCRAM binds to: our certificate's hash, if its kind has one.
    pub fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    /// For another protocol than PostgreSQL's, by its name in ALPN.
    pub fn speaking(mut self, protocol: &'static [u8]) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![protocol.to_vec()];
        self
    }

    /// Runs the TLS handshake, of which `already_read` has been read from `socket` before.
    pub async fn accept(&self, socket: Plain, already_read: &[u8]) -> io::Result<Stream> {
        let accepting = TlsAcceptor::from(Arc::clone(&self.config)).accept_with(socket, |tls| {
            let mut rest = already_read;
            // A failure is kept by the session and comes out of the handshake below.
            while !rest.is_empty()
                && tls.read_tls(&mut rest).is_ok_and(|read| read > 0)
                && tls.process_new_packets().is_ok()
            {}
        });
        accepting.await.map(|tls| Stream::TlsServer(Box::new(tls)))
    }
}

impl Connector {
    /// Reads the files of `server_tls_*`; `None` when the mode is `disable`.
    pub fn load(tls: &Tls) -> Result<Option<Self>, TlsError> {
        let mode = tls.sslmode;
        if mode == SslMode::Disable {
            return Ok(None);
        }
        let provider = provider();
        let strictness = match mode {
            SslMode::VerifyFull => Strictness::ChainAndName,
            SslMode::VerifyCa => Strictness::Chain,
            _ => Strictness::None,
        };
        let authorities = if strictness == Strictness::None {
            Vec::new()
        } else {
            certificates(required(tls.ca_file.as_deref(), mode, "ca_file")?)?
        };
        let file = || tls.ca_file.as_deref().unwrap_or(Path::new("")).display().to_string();
        let verifier = ServerCertificate::new(strictness, authorities, &provider)
            .map_err(|cause| TlsError::Unusable { file: file(), cause })?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (tls.cert_file.as_deref(), tls.key_file.as_deref()) {
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(certificates(cert)?, private_key(key)?)
                .map_err(|cause| TlsError::Unusable { file: cert.display().to_string(), cause })?,
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) => return Err(TlsError::Missing { mode: word(mode), key: "key_file" }),
            (None, Some(_)) => return Err(TlsError::Missing { mode: word(mode), key: "cert_file" }),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Some(Self { config: Arc::new(config) }))
    }

    /// For another protocol than PostgreSQL's, by its name in ALPN.
    pub fn speaking(mut self, protocol: &'static [u8]) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![protocol.to_vec()];
        self
    }

    /// Runs the TLS handshake with the server at `host`, a name or an address.
    pub async fn connect(&self, socket: Plain, host: &str) -> io::Result<Stream> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tls = TlsConnector::from(Arc::clone(&self.config)).connect(name, socket).await?;
        Ok(Stream::TlsClient(Box::new(tls)))
    }
}

/// Whether the peer of a TLS `stream` named our protocol in ALPN.
pub fn agreed_on_postgresql(stream: &Stream) -> bool {
    let agreed = match stream {
        Stream::TlsServer(tls) => tls.get_ref().1.alpn_protocol(),
        Stream::TlsClient(tls) => tls.get_ref().1.alpn_protocol(),
        Stream::Tcp(_) | Stream::Unix(_) => None,
    };
    agreed == Some(ALPN)
}

/// The subject of the certificate that the client showed and that was verified, as RFC 4514 writes it.
pub fn client_subject(stream: &Stream) -> Option<String> {
    let Stream::TlsServer(tls) = stream else { return None };
    certificate::subject(tls.get_ref().1.peer_certificates()?.first()?)
}

/// The client has shown no certificate that we believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCertificate;

/// The common name in the certificate that the client showed and that was verified; `None` when there is
/// none in it that could be meant.
pub fn client_common_name(stream: &Stream) -> Result<Option<String>, NoCertificate> {
    let Stream::TlsServer(tls) = stream else { return Err(NoCertificate) };
    let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first).ok_or(NoCertificate)?;
    Ok(certificate::common_name(shown))
}

/// What SCRAM binds to on a connection to a server: the hash of the server's certificate.
pub fn server_end_point(stream: &Stream) -> Option<Vec<u8>> {
    let Stream::TlsClient(tls) = stream else { return None };
    certificate::end_point(tls.get_ref().1.peer_certificates()?.first()?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// libpq's word for the mode.
pub fn word(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Disable => "disable",
        SslMode::Allow => "allow",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    }
}

fn required<'a>(file: Option<&'a Path>, mode: SslMode, key: &'static str) -> Result<&'a Path, TlsError> {
    file.ok_or(TlsError::Missing { mode: word(mode), key })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |cause| TlsError::Read { file: file.display().to_string(), cause };
    let chain: Vec<_> = CertificateDer::pem_file_iter(file).map_err(read)?.collect::<Result<_, _>>().map_err(read)?;
    if chain.is_empty() { Err(TlsError::Empty { file: file.display().to_string() }) } else { Ok(chain) }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|cause| TlsError::Read { file: file.display().to_string(), cause })
}

fn roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(file)? {
        roots.add(authority).map_err(|cause| TlsError::Unusable { file: file.display().to_string(), cause })?;
    }
    Ok(roots)
}
