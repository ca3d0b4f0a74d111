use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    client::ClientExchange,
    message::{ClientFinal, ClientFirst, Gs2Flag, ServerFirst, server_final},
    server::{ServerExchange, mechanisms},
    *,
};
use crate::auth::keys::ScramKeys;

// RFC 7677 §3.
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
const NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

fn keys() -> ScramKeys {
    ScramKeys::derive("pencil", &STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096)
}

fn verifier() -> ScramVerifier {
    ScramVerifier::from_keys(&keys(), STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096)
}

#[test]
fn the_client_answers_as_the_rfcs_example_does() {
    let exchange = ClientExchange::start([SCRAM_SHA_256], None)
        .unwrap()
        .with_nonce("rOprNGfwEbeRWgbNEkqO", "n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(exchange.client_first(), CLIENT_FIRST);

    let challenge = exchange.challenged(SERVER_FIRST.as_bytes()).unwrap();
    let (answer, expected) = challenge.answer(&keys());

    assert_eq!(answer, CLIENT_FINAL);
    assert_eq!(expected.verify(SERVER_FINAL.as_bytes()), Ok(()));
    assert_eq!(expected.verify(b"v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Err(ScramError::ServerSignature));
    assert_eq!(expected.verify(b"e=invalid-proof"), Err(ScramError::Refused));
}

#[test]
fn the_server_accepts_the_rfcs_example_and_learns_the_keys() {
    let exchange = ServerExchange::start(SCRAM_SHA_256, CLIENT_FIRST.as_bytes(), verifier(), None)
        .unwrap()
        .with_challenge(NONCE, SERVER_FIRST);

    let accepted = exchange.finish(CLIENT_FINAL.as_bytes()).unwrap();

    assert_eq!(accepted.server_final, SERVER_FINAL);
    assert!(accepted.keys == keys());
}

/// Both of our sides against each other.
fn exchange(
    mechanism: &str,
    offered: &[&'static str],
    client_end_point: Option<&[u8]>,
    server_end_point: Option<&[u8]>,
    known: &ScramKeys,
) -> Result<(), ScramError> {
    let client = ClientExchange::start(offered.iter().copied(), client_end_point.map(<[u8]>::to_vec)).unwrap();
    assert_eq!(client.mechanism(), mechanism);
    let server = ServerExchange::start(mechanism, client.client_first().as_bytes(), verifier(), server_end_point)?;
    let challenge = client.challenged(server.challenge().as_bytes())?;
    let (answer, expected) = challenge.answer(known);
    expected.verify(server.finish(answer.as_bytes())?.server_final.as_bytes())
}

#[test]
fn the_best_common_mechanism_is_used_and_bound_to_the_certificate() {
    let (ours, theirs) = (Some(&b"certificate"[..]), Some(&b"other certificate"[..]));
    let both = mechanisms(ours);
    let plain = mechanisms(None);
    assert_eq!(exchange(SCRAM_SHA_256, plain, None, None, &keys()), Ok(()));
    assert_eq!(exchange(SCRAM_SHA_256, both, None, ours, &keys()), Ok(()));
    assert_eq!(exchange(SCRAM_SHA_256_PLUS, both, ours, ours, &keys()), Ok(()));
    assert_eq!(exchange(SCRAM_SHA_256, plain, ours, None, &keys()), Ok(()), "no offer, no binding");

    let stolen = exchange(SCRAM_SHA_256_PLUS, both, theirs, ours, &keys());
    assert_eq!(stolen, Err(ScramError::ChannelBinding("data")), "someone stands between");
    let hidden = exchange(SCRAM_SHA_256, plain, ours, ours, &keys());
    assert_eq!(hidden, Err(ScramError::ChannelBinding("it was offered")), "someone removed the offer");
}

#[test]
fn a_wrong_password_and_a_user_who_does_not_exist_fail_alike() {
    let wrong = ScramKeys::derive("pencils", b"salt", 1);
    assert_eq!(exchange(SCRAM_SHA_256, mechanisms(None), None, None, &wrong), Err(ScramError::Proof));

    let client = ClientExchange::start([SCRAM_SHA_256], None).unwrap();
    let nobody = ScramVerifier::unsatisfiable("nobody");
    let server = ServerExchange::start(SCRAM_SHA_256, client.client_first().as_bytes(), nobody, None).unwrap();
    let challenge = client.challenged(server.challenge().as_bytes()).unwrap();
    assert_eq!((challenge.salt.len(), challenge.iterations), (16, 4096));
    let (answer, _) = challenge.answer(&keys());
    assert_eq!(server.finish(answer.as_bytes()).unwrap_err(), ScramError::Proof);
}

#[test]
fn first_messages_of_clients_are_read_or_refused() {
    let read = ClientFirst::parse(b"p=tls-server-end-point,,n=,r=abc,x=y").unwrap();
    assert_eq!(read, ClientFirst { flag: Gs2Flag::EndPoint, bare: "n=,r=abc,x=y", nonce: "abc" });
    for (message, error) in [
        ("", ScramError::Malformed("header")),
        ("n", ScramError::Malformed("header")),
        ("n,", ScramError::Malformed("header")),
        ("q,,n=,r=abc", ScramError::Malformed("channel binding flag")),
        ("p=tls-unique,,n=,r=abc", ScramError::ChannelBinding("unknown type")),
        ("n,a=bob,n=,r=abc", ScramError::AuthorizationIdentity),
        ("n,,m=ext,n=,r=abc", ScramError::MandatoryExtension),
        ("n,,r=abc", ScramError::Malformed("n=")),
        ("n,,n=", ScramError::Malformed("r=")),
        ("n,,n=,r=", ScramError::Malformed("nonce")),
        ("n,,n=,r=a b", ScramError::Malformed("nonce")),
    ] {
        assert_eq!(ClientFirst::parse(message.as_bytes()), Err(error), "{message}");
    }
    let long = format!("n,,n=,r={}", "x".repeat(MESSAGE_MAX_BYTES));
    assert_eq!(ClientFirst::parse(long.as_bytes()), Err(ScramError::Malformed("too long")));
}

#[test]
fn a_server_cannot_make_us_work_for_minutes_or_reuse_our_nonce_alone() {
    assert_eq!(ServerFirst::parse(b"r=abc,s=AAAA,i=2000000000"), Err(ScramError::Iterations));
    assert_eq!(ServerFirst::parse(b"r=abc,s=AAAA,i=0"), Err(ScramError::Malformed("iterations")));
    assert_eq!(ServerFirst::parse(b"m=x,r=abc,s=AAAA,i=1"), Err(ScramError::MandatoryExtension));
    let client = || ClientExchange::start([SCRAM_SHA_256], None).unwrap().with_nonce("abc", "n=,r=abc");
    for other in ["r=abc,s=AAAA,i=1", "r=xyz123,s=AAAA,i=1"] {
        assert_eq!(client().challenged(other.as_bytes()).unwrap_err(), ScramError::Nonce, "{other}");
    }
}

#[test]
fn any_bytes_are_read_without_panic() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    let mut random = StdRng::seed_from_u64(7);
    for seed in [CLIENT_FIRST, SERVER_FIRST, CLIENT_FINAL, SERVER_FINAL] {
        for _ in 0..20_000 {
            let mut bytes = seed.as_bytes().to_vec();
            for _ in 0..random.random_range(1..6) {
                let place = random.random_range(0..bytes.len());
                match random.random_range(0..3) {
                    0 => bytes[place] = random.random(),
                    1 if bytes.len() > 1 => drop(bytes.remove(place)),
                    _ => bytes.insert(place, b",=\xff\0pc"[random.random_range(0..6)]),
                }
            }
            let _ = ClientFirst::parse(&bytes);
            let _ = ServerFirst::parse(&bytes);
            let _ = ClientFinal::parse(&bytes);
            let _ = server_final(&bytes);
        }
    }
}
