//! Certificates for a test, made on the spot.

use std::{fs, path::PathBuf};

use howdah::{
    config::{SslMode, Tls},
    net::tls::Connector,
    server::ServerTls,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A certificate authority, certificates that it signed, and one that it did not.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// In a folder called after `name`, which is removed with this value.
    pub fn make(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("howdah-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let made = Self { folder };
        let authority_key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "authority");
        made.write("ca.pem", &authority.self_signed(&authority_key).unwrap().pem());
        let issuer = Issuer::new(authority, authority_key);
        for (file, subject) in [("localhost", "localhost"), ("elsewhere", "elsewhere"), ("client", "alice")] {
            let key = KeyPair::generate().unwrap();
            let mut leaf = CertificateParams::new([subject.to_owned()]).unwrap();
            leaf.distinguished_name.push(DnType::CommonName, subject);
            made.write(&format!("{file}.pem"), &leaf.signed_by(&key, &issuer).unwrap().pem());
            made.write(&format!("{file}.key"), &key.serialize_pem());
        }
        let key = KeyPair::generate().unwrap();
        let mut alone = CertificateParams::new(["localhost".to_owned()]).unwrap();
        alone.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        made.write("self-signed.pem", &alone.self_signed(&key).unwrap().pem());
        made.write("self-signed.key", &key.serialize_pem());
        made
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.file(file), text).unwrap();
    }

    pub fn file(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub fn tls(&self, sslmode: SslMode, certificate: Option<&str>, authority: Option<&str>) -> Tls {
        Tls {
            sslmode,
            key_file: certificate.map(|name| self.file(&format!("{name}.key"))),
            cert_file: certificate.map(|name| self.file(&format!("{name}.pem"))),
            ca_file: authority.map(|name| self.file(name)),
        }
    }

    pub fn server_tls(&self, mode: SslMode, authority: Option<&str>) -> ServerTls {
        ServerTls { mode, connector: Connector::load(&self.tls(mode, None, authority)).unwrap() }
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
