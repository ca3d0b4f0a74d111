//! The five characters by which drivers know what went wrong, under PostgreSQL's own names.
//!
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use std::fmt;

/// One error code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

macro_rules! codes {
    ($($code:literal $name:ident,)*) => {
        impl SqlState {
            $(#[doc = concat!("`", $code, "`")] pub const $name: Self = Self::literal($code);)*
        }
    };
}

codes! {
    "00000" SUCCESSFUL_COMPLETION,
    "01000" WARNING,
    "08000" CONNECTION_EXCEPTION,
    "08001" SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
    "08003" CONNECTION_DOES_NOT_EXIST,
    "08004" SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
    "08006" CONNECTION_FAILURE,
    "08P01" PROTOCOL_VIOLATION,
    "0A000" FEATURE_NOT_SUPPORTED,
    "22021" CHARACTER_NOT_IN_REPERTOIRE,
    "22023" INVALID_PARAMETER_VALUE,
    "25001" ACTIVE_SQL_TRANSACTION,
    "25006" READ_ONLY_SQL_TRANSACTION,
    "25P01" NO_ACTIVE_SQL_TRANSACTION,
    "25P02" IN_FAILED_SQL_TRANSACTION,
    "25P03" IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    "25P04" TRANSACTION_TIMEOUT,
    "26000" INVALID_SQL_STATEMENT_NAME,
    "28000" INVALID_AUTHORIZATION_SPECIFICATION,
    "28P01" INVALID_PASSWORD,
    "34000" INVALID_CURSOR_NAME,
    "3D000" INVALID_CATALOG_NAME,
    "40001" T_R_SERIALIZATION_FAILURE,
    "40003" T_R_STATEMENT_COMPLETION_UNKNOWN,
    "40P01" T_R_DEADLOCK_DETECTED,
    "42501" INSUFFICIENT_PRIVILEGE,
    "42601" SYNTAX_ERROR,
    "42704" UNDEFINED_OBJECT,
    "42P03" DUPLICATE_CURSOR,
    "42P05" DUPLICATE_PSTATEMENT,
    "53000" INSUFFICIENT_RESOURCES,
    "53100" DISK_FULL,
    "53200" OUT_OF_MEMORY,
    "53300" TOO_MANY_CONNECTIONS,
    "54000" PROGRAM_LIMIT_EXCEEDED,
    "55000" OBJECT_NOT_IN_PREREQUISITE_STATE,
    "57000" OPERATOR_INTERVENTION,
    "57014" QUERY_CANCELED,
    "57P01" ADMIN_SHUTDOWN,
    "57P02" CRASH_SHUTDOWN,
    "57P03" CANNOT_CONNECT_NOW,
    "57P05" IDLE_SESSION_TIMEOUT,
    "58000" SYSTEM_ERROR,
    "F0000" CONFIG_FILE_ERROR,
    "XX000" INTERNAL_ERROR,
}

impl SqlState {
    const fn literal(code: &str) -> Self {
        let [a, b, c, d, e] = *code.as_bytes() else { panic!("a code has five characters") };
        Self([a, b, c, d, e])
    }

    /// The code that a peer sent; `None` unless it is five ASCII digits or capitals.
    pub fn parse(code: &[u8]) -> Option<Self> {
        let code: [u8; 5] = code.try_into().ok()?;
        code.iter().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase()).then_some(Self(code))
    }

    /// Five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII gets in")
    }

    /// The first two characters, which name the kind of trouble: `08` is the connection.
    pub fn class(&self) -> &str {
        &self.as_str()[..2]
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_are_taken_for_codes() {
        assert_eq!(SqlState::parse(b"57P03"), Some(SqlState::CANNOT_CONNECT_NOW));
        for no in [&b""[..], b"57P0", b"57P033", b"57p03", b"57P\xff3"] {
            assert_eq!(SqlState::parse(no), None, "{no:?}");
        }
        assert_eq!(SqlState::CONNECTION_FAILURE.class(), "08");
    }
}
