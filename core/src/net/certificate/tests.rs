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
