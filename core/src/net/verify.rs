//! Whether a server's certificate is believed, by `server_tls_sslmode`.

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};

use super::certificate;

/// How much of a certificate must be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Nothing: the line is encrypted, to whomever (`prefer`, `require`).
    None,
    /// It must come from one of the authorities (`verify-ca`).
    Chain,
    /// And be made for the name that we asked for (`verify-full`).
    ChainAndName,
}

/// Verifies servers by a [`Strictness`].
#[derive(Debug)]
pub struct ServerCertificate {
    strictness: Strictness,
    authorities: Vec<CertificateDer<'static>>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertificate {
    /// `authorities` may be empty only when nothing is verified.
    pub fn new(
        strictness: Strictness,
        authorities: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let chain = if strictness == Strictness::None {
            None
        } else {
            let mut roots = RootCertStore::empty();
            for authority in &authorities {
                roots.add(authority.clone())?;
            }
            let builder = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
            Some(builder.build().map_err(|cause| Error::General(cause.to_string()))?)
        };
        Ok(Self { strictness, authorities, chain, algorithms: provider.signature_verification_algorithms })
    }

    /// A self-signed certificate that is its own authority, PostgreSQL's usual set-up: it stands in
    /// `ca_file` itself. webpki refuses those as "CA used as end entity"; OpenSSL and libpq do not.
    fn is_authority_itself(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        self.authorities.iter().any(|authority| authority == certificate)
            && certificate::is_valid_at(certificate, now.as_secs())
    }
}

impl ServerCertVerifier for ServerCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        if self.is_authority_itself(end_entity, now) {
            if self.strictness == Strictness::ChainAndName {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is checked last, so the chain was good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.strictness == Strictness::Chain => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
