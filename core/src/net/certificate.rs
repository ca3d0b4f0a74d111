//! What we read from certificates ourselves: the subject, the hash that SCRAM binds to, and the dates.

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::{
    Certificate,
    der::{
        Decode, SliceReader, Tag, TagNumber, Tagged,
        asn1::{ContextSpecific, ObjectIdentifier},
    },
    spki::AlgorithmIdentifierRef,
};

// RFC 4055, RFC 5758: signature algorithms, and the hashes in the parameters of RSASSA-PSS.
const SHA1_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const MD5_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.4");
const RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_WITH_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
// RFC 4519 §2.3.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// `tls-server-end-point` of RFC 5929 §4.1: the certificate hashed by the hash of its signature,
/// or by SHA-256 when that is MD5 or SHA-1. `None` for signatures without a hash of their own (Ed25519).
pub fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(der).ok()?;
    let algorithm = &certificate.signature_algorithm;
    let hash = if algorithm.oid == RSASSA_PSS {
        let parameters = algorithm.parameters.as_ref()?;
        pss_hash(parameters.value()).unwrap_or(SHA1)
    } else {
        algorithm.oid
    };
    match hash {
        SHA1 | SHA1_WITH_RSA | MD5_WITH_RSA | ECDSA_WITH_SHA1 | SHA256 | SHA256_WITH_RSA | ECDSA_WITH_SHA256 => {
            Some(Sha256::digest(der).to_vec())
        }
        SHA384 | SHA384_WITH_RSA | ECDSA_WITH_SHA384 => Some(Sha384::digest(der).to_vec()),
        SHA512 | SHA512_WITH_RSA | ECDSA_WITH_SHA512 => Some(Sha512::digest(der).to_vec()),
        _ => None,
    }
}

/// The first, optional field of RSASSA-PSS-params; absent means SHA-1.
fn pss_hash(sequence: &[u8]) -> Option<ObjectIdentifier> {
    let mut reader = SliceReader::new(sequence).ok()?;
    let field = ContextSpecific::<AlgorithmIdentifierRef<'_>>::decode_explicit(&mut reader, TagNumber::N0).ok()??;
    Some(field.value.oid)
}

/// The subject as RFC 4514 writes it.
pub fn subject(der: &[u8]) -> Option<String> {
    Some(Certificate::from_der(der).ok()?.tbs_certificate.subject.to_string())
}

/// The subject's common name. `None` when there is none, when there are several and nobody knows which
/// is meant, and when it is no text or has a zero byte, behind which others would not read on.
pub fn common_name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let attributes = certificate.tbs_certificate.subject.0.iter().flat_map(|name| name.0.iter());
    let mut names = attributes.filter(|attribute| attribute.oid == COMMON_NAME).map(|attribute| &attribute.value);
    let (name, None) = (names.next()?, names.next()) else { return None };
    let text = std::str::from_utf8(name.value()).ok()?;
    let fits = match name.tag() {
        Tag::Utf8String => !text.contains('\0'),
        Tag::PrintableString | Tag::Ia5String | Tag::TeletexString => text.is_ascii() && !text.contains('\0'),
        _ => false,
    };
    fits.then(|| text.to_owned())
}

/// Whether `unix_seconds` lies between the certificate's dates.
pub fn is_valid_at(der: &[u8], unix_seconds: u64) -> bool {
    let Ok(certificate) = Certificate::from_der(der) else { return false };
    let dates = certificate.tbs_certificate.validity;
    let (from, to) = (dates.not_before.to_unix_duration().as_secs(), dates.not_after.to_unix_duration().as_secs());
    (from..=to).contains(&unix_seconds)
}

#[cfg(test)]
mod tests;
