//! `pool_passwd`: a user and a secret a line, parted by a colon.
//!
//! A secret is an MD5 hash, a password after `TEXT`, or a password that only pgpool-II's key opens,
//! after `AES`. Without a prefix it is a password.

/// What the file has.
#[derive(Default)]
pub(super) struct Passwords {
    /// Users and secrets that an `auth_file` can have.
    pub usable: Vec<(String, String)>,
    /// Users whose password is encrypted.
    pub sealed: Vec<String>,
}

pub(super) fn read(contents: &[u8]) -> Passwords {
    let mut passwords = Passwords::default();
    for line in String::from_utf8_lossy(contents).lines() {
        let Some((user, secret)) = line.split_once(':').filter(|(user, _)| !user.is_empty()) else { continue };
        if secret.starts_with("AES") {
            passwords.sealed.push(user.to_owned());
            continue;
        }
        let secret = secret.strip_prefix("TEXT").unwrap_or(secret);
        // Of two lines for one user, pgpool-II reads the first.
        if passwords.usable.iter().all(|(other, _)| other != user) {
            passwords.usable.push((user.to_owned(), secret.to_owned()));
        }
    }
    passwords
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_lose_their_prefix_and_sealed_ones_are_told() {
        let read = read(b"ann:md5aa\r\nbob:TEXTx:y\n\ncid:AESzz\ndan:plain\n:x\nno colon\nann:TEXTother\n");

        let usable = [("ann", "md5aa"), ("bob", "x:y"), ("dan", "plain")];
        assert_eq!(read.usable, usable.map(|(user, secret)| (user.to_owned(), secret.to_owned())));
        assert_eq!(read.sealed, ["cid"]);
    }
}
