//! Positions in the write-ahead log.

use std::{fmt, str::FromStr};

/// A write-ahead log position: `16/B374D848` is `0x16B374D848`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// The text was not of the form `16/B374D848`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnLsn;

impl fmt::Display for NotAnLsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a write-ahead log position")
    }
}

impl std::error::Error for NotAnLsn {}

impl FromStr for Lsn {
    type Err = NotAnLsn;

    fn from_str(text: &str) -> Result<Self, NotAnLsn> {
        let (high, low) = text.split_once('/').ok_or(NotAnLsn)?;
        let high = u32::from_str_radix(high, 16).map_err(|_| NotAnLsn)?;
        let low = u32::from_str_radix(low, 16).map_err(|_| NotAnLsn)?;
        Ok(Self(u64::from(high) << 32 | u64::from(low)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_it_was_written() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().map(|lsn| lsn.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("16".parse::<Lsn>(), Err(NotAnLsn));
    }
}
