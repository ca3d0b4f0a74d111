//! PostgreSQL's server programs and clients.

use super::{
    Found, Need, apt,
    postgres_binaries::{BINDIR_VARIABLE, Binaries, OLDEST_MAJOR},
};

/// The programs in [`Binaries`], version 15 or newer.
pub struct Postgres;

impl Need for Postgres {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn find(&self) -> Result<Found, String> {
        let binaries = Binaries::find().map_err(|error| error.to_string())?;
        let place = format!("{} in {}", binaries.major, binaries.folder.display());
        Ok(Found::at(place).telling(BINDIR_VARIABLE, binaries.folder))
    }

    fn packages(&self) -> Vec<String> {
        // `postgresql` depends on the distribution's version; its recommendation, sysstat, is of no use to us.
        vec!["postgresql".into()]
    }

    fn advice(&self) -> &'static str {
        match debian_major() {
            Some(major) if major < OLDEST_MAJOR => {
                "This Debian's PostgreSQL is too old; take one from https://www.postgresql.org/download/linux/debian/"
            }
            _ => {
                "Install PostgreSQL 15 or newer (macOS: brew install postgresql@17; Fedora: dnf install \
                 postgresql-server postgresql-contrib), or set HOWDAH_PG_BINDIR to the folder of its programs"
            }
        }
    }
}

fn debian_major() -> Option<u32> {
    apt::candidate("postgresql")?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
