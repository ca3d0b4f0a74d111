//! The TLS keys of one side, `client` or `server`.

use std::path::Path;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::super::{
    section::Section,
    types::{SslMode, Tls},
    value::Words,
};

/// What the keys say.
pub(super) fn settings(top: &Section<'_>, side: &str) -> Tls {
    Tls {
        sslmode: top.value(&format!("{side}_tls_sslmode")),
        key_file: top.file(&format!("{side}_tls_key_file")),
        cert_file: top.file(&format!("{side}_tls_cert_file")),
        ca_file: top.file(&format!("{side}_tls_ca_file")),
    }
}

/// What must hold between them, and that the files are what they should be.
pub(super) fn check(top: &Section<'_>, side: &str, tls: &Tls) {
    let key = |name: &str| format!("{side}_tls_{name}");
    let (mode, key_file, cert_file, ca_file) = (key("sslmode"), key("key_file"), key("cert_file"), key("ca_file"));
    let needs =
        |who: &str, whom: &str, why: &str| top.refuse(who, format!("`{who}`{why} needs `{whom}`, which is not set"));
    let asked = format!(" {:?}", tls.sslmode.word());

    if side == "client" && tls.sslmode != SslMode::Disable && tls.key_file.is_none() && tls.cert_file.is_none() {
        needs(&mode, &key_file, &asked);
        needs(&mode, &cert_file, &asked);
    }
    match (&tls.key_file, &tls.cert_file) {
        (Some(_), None) => needs(&key_file, &cert_file, ""),
        (None, Some(_)) => needs(&cert_file, &key_file, ""),
        _ => {}
    }
    if tls.sslmode >= SslMode::VerifyCa && tls.ca_file.is_none() {
        needs(&mode, &ca_file, &asked);
    }
    pem(top, &key_file, tls.key_file.as_deref(), "private key", |pem| PrivateKeyDer::from_pem_slice(pem).is_ok());
    for (name, file) in [(&cert_file, &tls.cert_file), (&ca_file, &tls.ca_file)] {
        pem(top, name, file.as_deref(), "certificate", has_certificates);
    }
}

fn pem(top: &Section<'_>, name: &str, file: Option<&Path>, what: &str, is_good: fn(&[u8]) -> bool) {
    let Some(file) = file else { return };
    if let Some(contents) = top.read(name, file)
        && !is_good(&contents)
    {
        top.refuse(name, format!("`{name}`: {} is not a PEM file with a {what}", file.display()));
    }
}

fn has_certificates(pem: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}
