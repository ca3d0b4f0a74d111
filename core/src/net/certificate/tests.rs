use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::*;

const EC_SHA1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBczCCARqgAwIBAgIUH72LthC7UWfxxlvXuLEmRuChCBUwCQYHKoZIzj0EATAP
MQ0wCwYDVQQDDARzaGExMCAXDTI2MTEyNDAyMDkzOVoYDzIxMjYxMDMxMDIwOTM5
WjAPMQ0wCwYDVQQDDARzaGExMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEkW7H
hfyI7tCQ6348wqDCj/CtLjtAwrg9w4frv7QEWrCumqiXo4/6345ynE5+hrwVj2th
RCPvIILGOYHNM6BjeKNTMFEwHQYDVR0OBBYEFJFmFft68/3cul0y9amHaGmGnMUr
MB8GA1UdIwQYMBaAFJFmFft68/3cul0y9amHaGmGnMUrMA8GA1UdEwEB/wQFMAMB
Af8wCQYHKoZIzj0EAQNIADBFAiBqdpOUKNh48LX1f6+6S3A3cMeNso4cjzWnQ3l1
ya4y/wIhAPOes0yC7Zvpr+pums8BBA2Kq0C3QUgTW7ObNU3bO8bi
-----END CERTIFICATE-----";
const EC_SHA256: &str = "\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUbqqBZrUQ84wsa+6rgveaSQQNkrowCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGc2hhMjU2MCAXDTI2MTEyNDAyMDkzOVoYDzIxMjYxMDMxMDIw
OTM5WjARMQ8wDQYDVQQDDAZzaGEyNTYwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AASRbseF/Iju0JDrfjzCoMKP8K0uO0DCuD3Dh+u/tARasK6aqJejj/rfjnKcTn6G
vBWPa2FEI+8ggsY5gc0zoGN4o1MwUTAdBgNVHQ4EFgQUkWYV+3rz/dy6XTL1qYdo
aYacxSswHwYDVR0jBBgwFoAUkWYV+3rz/dy6XTL1qYdoaYacxSswDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBawS7UQK4JGNxMlaNHOUQC0UGG4//6
s+0lufH81Z9X+wIhAJ1IKO8igObt8OWMYV4uQ8b7XcIoSMAbogdlWfsVIRoX
-----END CERTIFICATE-----";
const EC_SHA512: &str = "\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUZnlvcCU/fUQspMnkfO/FCkXjk2owCgYIKoZIzj0EAwQw
ETEPMA0GA1UEAwwGc2hhNTEyMCAXDTI2MTEyNDAyMDkzOVoYDzIxMjYxMDMxMDIw
OTM5WjARMQ8wDQYDVQQDDAZzaGE1MTIwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AASRbseF/Iju0JDrfjzCoMKP8K0uO0DCuD3Dh+u/tARasK6aqJejj/rfjnKcTn6G
vBWPa2FEI+8ggsY5gc0zoGN4o1MwUTAdBgNVHQ4EFgQUkWYV+3rz/dy6XTL1qYdo
aYacxSswHwYDVR0jBBgwFoAUkWYV+3rz/dy6XTL1qYdoaYacxSswDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDBANIADBFAiBPj3BV8b/a2tKyAGyPdDPoeLzLjAoj
nNb5EUB7V9XAtQIhAKCt2k/RdmoNVF8vPeuz9sLr6U+7yRxnHpreSpNhNUa2
-----END CERTIFICATE-----";
const RSA_PSS_SHA384: &str = "\
-----BEGIN CERTIFICATE-----
MIICkjCCAcegAwIBAgIUWFWp3qKvlfoHBt3KRzy+lXwX+HEwQQYJKoZIhvcNAQEK
MDSgDzANBglghkgBZQMEAgIFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgIF
AKIDAgEwMCYxFjAUBgNVBAoMDUV4YW1wbGUsIEluYy4xDDAKBgNVBAMMA3BzczAg
Fw0yNjExMjQwMjA5MzlaGA8yMTI2MTAzMTAyMDkzOVowJjEWMBQGA1UECgwNRXhh
bXBsZSwgSW5jLjEMMAoGA1UEAwwDcHNzMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB
iQKBgQDLGXYG14hUG9iFfFPY20onJXVw5GwMjzRuigXEltJSgzFJBPA0v5BTewWC
j40quQ7nw21ZhAxWHbFiq6DSDQjCQlcQFtmtkUa82gcEZmslEEJzewNvkEDurjFI
I6yQEd9ekQ8PDZPoHC9cNXka+Z+9T6QLXMXa19CHf3BcFhlaCQIDAQABo1MwUTAd
BgNVHQ4EFgQUxAkWgNySvqrqVlotSLROL1zzn3YwHwYDVR0jBBgwFoAUxAkWgNyS
vqrqVlotSLROL1zzn3YwDwYDVR0TAQH/BAUwAwEB/zBBBgkqhkiG9w0BAQowNKAP
MA0GCWCGSAFlAwQCAgUAoRwwGgYJKoZIhvcNAQEIMA0GCWCGSAFlAwQCAgUAogMC
ATADgYEAnKDcXN3CPr+zHicn9B0IlAJ9p8PhcDrn0UZx1+7OlYH/G7utRnQlyeCo
EXdPtgZv5GGvEhJKlIvQ9VfJGjKAS+mHjUe+swRGxixJCS0cv9uOZ0OSwYKtR2E3
nhRbRIFSCNvdMwVN0FvLnR9P+Rsr2CaeQliONCL3li1H8JJUkwM=
-----END CERTIFICATE-----";
const ED25519: &str = "\
-----BEGIN CERTIFICATE-----
MIIBMDCB46ADAgECAhRqVRdzKRInz58qfspzvmMl5PCepDAFBgMrZXAwDTELMAkG
A1UEAwwCZWQwIBcNMjYxMTI0MDIwOTM5WhgPMjEyNjEwMzEwMjA5MzlaMA0xCzAJ
BgNVBAMMAmVkMCowBQYDK2VwAyEAkL6L9a25r2tGvbCAqEHAQ1K2kPfdR1FL6rgN
v/aYGZejUzBRMB0GA1UdDgQWBBQ3yeEj4BYYFg+jRV5Onz+8xOg5azAfBgNVHSME
GDAWgBQ3yeEj4BYYFg+jRV5Onz+8xOg5azAPBgNVHRMBAf8EBTADAQH/MAUGAytl
cANBAI2ifvNoqJgeKLgjfoYgBg6L33btmPX5gVs6Mb1RCLEIgkTBulaudwafWk96
H3Ew4/ixtwxrgqoVYjhIt2aonAQ=
-----END CERTIFICATE-----";
const TWO_COMMON_NAMES: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIUPt1qmURCUbKMgcWZ/QZ/I9M64AowCgYIKoZIzj0EAwIw
HDEMMAoGA1UEAwwDYW5uMQwwCgYDVQQDDANib2IwIBcNMjYxMTI2MTEyMzA5WhgP
MjEyNjExMDIxMTIzMDlaMBwxDDAKBgNVBAMMA2FubjEMMAoGA1UEAwwDYm9iMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsQeUXXVm/9hlwrG39jNQBQ+dieUN3wdu
4ZzCC18lfn0c5AZFaAuKIKM/T8iv8MHwQckFg4nnIrOlt9zni/k9i6NTMFEwHQYD
VR0OBBYEFL65JF1VH7bOZAoaTopJSj4DROxFMB8GA1UdIwQYMBaAFL65JF1VH7bO
ZAoaTopJSj4DROxFMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIh
AK1Y4+pCDS+DjKHi+MM0IEjJl8vfR7633iB7axnR5XFaAiBNwwDr84fxo2FiKAcX
LZvKcPPof0ZCqsS2DqQsfieEyQ==
-----END CERTIFICATE-----";
const NO_COMMON_NAME: &str = "\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUTMIIPirhgEztOHwQLQoA/KcY03swCgYIKoZIzj0EAwIw
ETEPMA0GA1UECgwGbm9ib2R5MCAXDTI2MTEyNjExMjMwOVoYDzIxMjYxMTAyMTEy
MzA5WjARMQ8wDQYDVQQKDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AATQW1i4REHbq8LUivvWWNaq6Xm37mqWHKgSuLeGHwdWr3CBfeT19qHh3Xflo205
iG7Bd6QND1KOSsElOcqtX0KNo1MwUTAdBgNVHQ4EFgQUBoIAc/DhgE5drBs7IUxk
2DmshW8wHwYDVR0jBBgwFoAUBoIAc/DhgE5drBs7IUxk2DmshW8wDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEApzix17x7FsM/LKNJckeQ1Y5Yz4wY
HEX2aCrblm7xyu8CICuFo6ufL/lBXN0WQqajFIOuhV8duPMePVrL4LSUy5QM
-----END CERTIFICATE-----";

fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[test]
fn scram_binds_to_the_hash_that_the_certificate_is_signed_with() {
    let (sha1, sha256, sha512, pss) = (der(EC_SHA1), der(EC_SHA256), der(EC_SHA512), der(RSA_PSS_SHA384));
    assert_eq!(end_point(&sha1), Some(Sha256::digest(&sha1).to_vec()), "SHA-1 is too weak to be used");
    assert_eq!(end_point(&sha256), Some(Sha256::digest(&sha256).to_vec()));
    assert_eq!(end_point(&sha512), Some(Sha512::digest(&sha512).to_vec()));
    assert_eq!(end_point(&pss), Some(Sha384::digest(&pss).to_vec()), "its hash stands in the parameters");
    assert_eq!(end_point(&der(ED25519)), None, "it has no hash of its own");
}

#[test]
fn a_subject_is_written_as_rfc_4514_has_it() {
    assert_eq!(subject(&der(RSA_PSS_SHA384)).as_deref(), Some(r"CN=pss,O=Example\, Inc."));
    assert_eq!(subject(b"not a certificate"), None);
}

/// The certificate of `sha256`, with this type of text and this text as its subject's common name.
fn named(tag: u8, name: &[u8; 6]) -> Vec<u8> {
    let mut der = der(EC_SHA256);
    // The issuer's name comes first.
    let at = der.windows(8).rposition(|bytes| bytes == b"\x0c\x06sha256").unwrap();
    der[at] = tag;
    der[at + 2..at + 8].copy_from_slice(name);
    der
}

#[test]
fn a_common_name_counts_when_there_is_one_and_nobody_can_misread_it() {
    let (utf8, printable, ia5, teletex, bmp) = (0x0c, 0x13, 0x16, 0x14, 0x1e);
    assert_eq!(common_name(&der(EC_SHA256)).as_deref(), Some("sha256"));
    assert_eq!(common_name(&der(RSA_PSS_SHA384)).as_deref(), Some("pss"));
    assert_eq!(common_name(&der(TWO_COMMON_NAMES)), None);
    assert_eq!(common_name(&der(NO_COMMON_NAME)), None);
    for (tag, name, read) in [
        (utf8, b"an\xc3\xa4na", Some("anäna")),
        (printable, b"annann", Some("annann")),
        (ia5, b"annann", Some("annann")),
        (teletex, b"annann", Some("annann")),
        (teletex, b"an\xc3\xa4na", None),
        (bmp, b"\0a\0n\0n", None),
        (utf8, b"ann\0xy", None),
        (ia5, b"ann\0xy", None),
        (utf8, b"ann\xff\xff\xff", None),
    ] {
        assert_eq!(common_name(&named(tag, name)).as_deref(), read, "{tag}: {name:?}");
    }
    assert_eq!(common_name(b"not a certificate"), None);
}

#[test]
fn a_certificate_counts_between_its_dates_only() {
    let certificate = der(ED25519);
    assert!(!is_valid_at(&certificate, 0));
    assert!(is_valid_at(&certificate, 2_000_000_000));
    assert!(!is_valid_at(&certificate, 20_000_000_000));
}

#[test]
fn a_certificate_cut_anywhere_is_no_certificate() {
    let whole = der(RSA_PSS_SHA384);
    for end in 0..whole.len() {
        assert_eq!((end_point(&whole[..end]), subject(&whole[..end])), (None, None), "cut at {end}");
    }
}
