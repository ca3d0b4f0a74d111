//! Causality keys from any text, such as the value of a parameter.

/// Longest key that the host takes.
const KEY_MAX_BYTES: usize = 128;

/// FNV-1a for 128 bits, <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>. Keys of equal
/// hash would only make a read see more than it must.
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// The text itself, or its hash if it is empty, too long, or has control characters.
pub(crate) fn fitting(text: &str) -> String {
    if (1..=KEY_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    let hash = text.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME));
    format!("#{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_takes_stays_as_it_is() {
        for text in ["acme", "gr\u{fc}n", &"x".repeat(KEY_MAX_BYTES)] {
            assert_eq!(fitting(text), text);
        }
    }

    #[test]
    fn anything_else_has_a_key_of_its_own() {
        assert_eq!(fitting(""), "#6c62272e07bb014262b821756295c58d");
        let (long, longer) = ("x".repeat(KEY_MAX_BYTES + 1), "x".repeat(KEY_MAX_BYTES + 2));
        let keys = [fitting(""), fitting("a\nb"), fitting("a\tb"), fitting(&long), fitting(&longer)];
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(key.len(), 33);
            assert!(!keys[..at].contains(key), "{key}");
        }
    }
}
