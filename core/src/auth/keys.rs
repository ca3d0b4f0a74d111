//! Keys derived from passwords for SCRAM, each derived once.
//!
//! A derivation is thousands of hash rounds, milliseconds of CPU; a login with keys at hand is a few
//! hashes. So derived keys are remembered for the life of the process, under a keyed hash of what they
//! were derived from, and the derivation itself runs off the worker's thread.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::OnceCell;

use super::scram::ScramVerifier;

/// Derived keys that we remember: enough for every user of a large installation, some 2 MB.
const REMEMBERED_MAX: usize = 10_000;
/// Most rounds that we derive keys with. PostgreSQL's default is 4096; a server that asks for
/// more than this would have us burn seconds of CPU on its word.
pub const ITERATIONS_MAX: u32 = 1_000_000;
/// PostgreSQL's default, which we offer for secrets that are not SCRAM verifiers.
pub const ITERATIONS_DEFAULT: u32 = 4096;
/// Length of the salts that we make, PostgreSQL's.
const SALT_LENGTH: usize = 16;

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// What a password, a salt and a number of rounds come to.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Proves the client to the server.
    pub client_key: Hash,
    /// Its hash, by which a server checks it.
    pub stored_key: Hash,
    /// Proves the server to the client.
    pub server_key: Hash,
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(…)")
    }
}

impl ScramKeys {
    /// RFC 5802 §3. Slow by design; use [`derived`] unless the password is only a guess.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        // What SASLprep refuses is used as it is, as PostgreSQL does.
        let prepared = stringprep::saslprep(password).unwrap_or(password.into());
        let mut salted = Hash::default();
        pbkdf2::pbkdf2_hmac::<Sha256>(prepared.as_bytes(), salt, iterations, &mut salted);
        Self::from_client_key(hmac(&salted, &[b"Client Key"]), hmac(&salted, &[b"Server Key"]))
    }

    /// From a key that a client has shown, and the server key that goes with it.
    pub fn from_client_key(client_key: Hash, server_key: Hash) -> Self {
        Self { client_key, stored_key: Sha256::digest(client_key).into(), server_key }
    }
}

/// HMAC-SHA-256 over the concatenation of `parts`.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Hash {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Known to this process alone; makes fake salts stable, and the memory's keys useless elsewhere.
static PROCESS_SECRET: LazyLock<Hash> = LazyLock::new(rand::random);

/// The salt that we show for `user` when none is stored: always the same, so that
/// users who do not exist look like those who do.
pub fn salt_for(user: &str) -> Vec<u8> {
    hmac(&*PROCESS_SECRET, &[b"salt", user.as_bytes()])[..SALT_LENGTH].to_vec()
}

type Cell = Arc<OnceCell<Arc<ScramKeys>>>;

#[derive(Default)]
struct Remembered {
    keys: HashMap<Hash, Cell, foldhash::fast::RandomState>,
    /// Oldest first.
    order: VecDeque<Hash>,
}

impl Remembered {
    fn cell(&mut self, name: Hash) -> Cell {
        if let Some(cell) = self.keys.get(&name) {
            return Arc::clone(cell);
        }
        if self.order.len() == REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        self.order.push_back(name);
        Arc::clone(self.keys.entry(name).or_default())
    }
}

static REMEMBERED: LazyLock<Mutex<Remembered>> = LazyLock::new(Mutex::default);

fn remembered() -> MutexGuard<'static, Remembered> {
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Under what the keys are remembered.
fn name(password: &str, salt: &[u8], iterations: u32) -> Hash {
    let length = (salt.len() as u64).to_be_bytes();
    hmac(&*PROCESS_SECRET, &[b"keys", &length, salt, &iterations.to_be_bytes(), password.as_bytes()])
}

async fn derive_off_thread(password: &Arc<str>, salt: &[u8], iterations: u32) -> Arc<ScramKeys> {
    let (secret, owned_salt) = (Arc::clone(password), salt.to_vec());
    let off_thread = tokio::task::spawn_blocking(move || ScramKeys::derive(&secret, &owned_salt, iterations));
    // It fails when the runtime is going down; then the time spent here matters to nobody.
    Arc::new(off_thread.await.unwrap_or_else(|_| ScramKeys::derive(password, salt, iterations)))
}

/// The keys of `password`, derived at most once in this process however many logins ask at once.
pub async fn derived(password: &Arc<str>, salt: &[u8], iterations: u32) -> Arc<ScramKeys> {
    let cell = remembered().cell(name(password, salt, iterations));
    Arc::clone(cell.get_or_init(|| derive_off_thread(password, salt, iterations)).await)
}

/// The keys of `guess` if it is the password of `verifier`. Only the right one is remembered, so that wrong
/// ones push nothing out.
pub async fn accepts(guess: &Arc<str>, verifier: &ScramVerifier) -> Option<Arc<ScramKeys>> {
    let name = name(guess, &verifier.salt, verifier.iterations);
    let known = remembered().keys.get(&name).and_then(|cell| cell.get().cloned());
    let (keys, is_new) = match known {
        Some(keys) => (keys, false),
        None => (derive_off_thread(guess, &verifier.salt, verifier.iterations).await, true),
    };
    let right = bool::from(keys.stored_key.ct_eq(&verifier.stored_key));
    if right && is_new {
        // Another login may have been faster; its keys are the same.
        let _ = remembered().cell(name).set(Arc::clone(&keys));
    }
    right.then_some(keys)
}

/// The keys that clients have shown, apart from those that can be derived again.
static SHOWN: LazyLock<Mutex<Remembered>> = LazyLock::new(Mutex::default);

fn shown_table() -> MutexGuard<'static, Remembered> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the keys that `user` has shown to know. They open every server that stores the same verifier, for as
/// long as this process lives and at most as many users have shown theirs since.
pub fn keep_shown(user: &str, verifier: &ScramVerifier, keys: Arc<ScramKeys>) {
    // Whoever was there first had the same ones.
    let _ = shown_table().cell(shown_name(user, verifier)).set(keys);
}

/// The keys that go with the verifier, if `user` has shown them.
pub fn shown(user: &str, verifier: &ScramVerifier) -> Option<Arc<ScramKeys>> {
    shown_table().keys.get(&shown_name(user, verifier)).and_then(|cell| cell.get().cloned())
}

fn shown_name(user: &str, verifier: &ScramVerifier) -> Hash {
    let ScramVerifier { iterations, salt, stored_key, server_key } = verifier;
    let length = (salt.len() as u64).to_be_bytes();
    let parts: [&[u8]; 7] =
        [b"shown", &length, salt, &iterations.to_be_bytes(), stored_key, server_key, user.as_bytes()];
    hmac(&*PROCESS_SECRET, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_are_derived_once_and_the_oldest_are_forgotten_first() {
        let password: Arc<str> = "pencil".into();
        let first = derived(&password, b"salt", 1).await;
        assert!(Arc::ptr_eq(&first, &derived(&password, b"salt", 1).await));
        assert_ne!(first, derived(&password, b"salt", 2).await);
        assert_ne!(first, derived(&password, b"tlas", 1).await);

        let mut remembered = Remembered::default();
        for number in 0..=REMEMBERED_MAX {
            remembered.cell(Sha256::digest(number.to_be_bytes()).into());
        }
        assert_eq!((remembered.keys.len(), remembered.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
        assert!(!remembered.keys.contains_key::<Hash>(&Sha256::digest(0_usize.to_be_bytes()).into()));
    }

    #[tokio::test]
    async fn a_wrong_guess_is_not_remembered() {
        let (right, wrong): (Arc<str>, Arc<str>) = ("right".into(), "wrong".into());
        let verifier = ScramVerifier::from_keys(&ScramKeys::derive(&right, b"s", 3), b"s".to_vec(), 3);

        assert_eq!(accepts(&wrong, &verifier).await, None);
        let keys = accepts(&right, &verifier).await.unwrap();
        assert!(Arc::ptr_eq(&keys, &accepts(&right, &verifier).await.unwrap()));

        assert!(remembered().keys.contains_key(&name(&right, b"s", 3)));
        assert!(!remembered().keys.contains_key(&name(&wrong, b"s", 3)));
    }

    #[test]
    fn shown_keys_belong_to_a_user_and_a_verifier() {
        let keys = ScramKeys::derive("pencil", b"salt", 2);
        let verifier = ScramVerifier::from_keys(&keys, b"salt".to_vec(), 2);
        assert_eq!(shown("ann", &verifier), None);

        keep_shown("ann", &verifier, Arc::new(keys.clone()));

        assert_eq!(shown("ann", &verifier).as_deref(), Some(&keys));
        assert_eq!(shown("bob", &verifier), None);
        for other in [
            ScramVerifier { iterations: 3, ..verifier.clone() },
            ScramVerifier { salt: b"tlas".to_vec(), ..verifier.clone() },
            ScramVerifier { server_key: [0; 32], ..verifier.clone() },
        ] {
            assert_eq!(shown("ann", &other), None);
        }
    }

    #[test]
    fn a_user_is_always_shown_the_same_salt() {
        assert_eq!(salt_for("nobody"), salt_for("nobody"));
        assert_ne!(salt_for("nobody"), salt_for("somebody"));
        assert_eq!(salt_for("nobody").len(), SALT_LENGTH);
    }
}
