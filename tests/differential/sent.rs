//! A message of a client, as a case's file has it, and its bytes.

use howdah_tests::raw::{self, Format};
use serde::{Deserialize, Serialize};

/// Stands in statements for what must differ between the two sides, because the whole cluster sees it: the
/// names of prepared transactions.
pub const SIDE: &str = "{side}";

/// A message of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sent {
    /// Query.
    Query(String),
    /// Parse.
    Parse {
        /// Empty for the unnamed statement.
        name: String,
        /// Its text.
        sql: String,
        /// Types of its first parameters.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        types: Vec<u32>,
    },
    /// Bind, its parameters as text.
    Bind {
        /// Empty for the unnamed portal.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        portal: String,
        /// Empty for the unnamed statement.
        statement: String,
        /// `None` for NULL.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parameters: Vec<Option<String>>,
        /// Whether rows are to come in binary.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        binary: bool,
    },
    /// Describe.
    Describe {
        /// `S` or `P`.
        what: char,
        /// Of the statement or portal.
        name: String,
    },
    /// Execute.
    Execute {
        /// Empty for the unnamed portal.
        portal: String,
        /// 0 for all.
        rows_max: u32,
    },
    /// Close.
    Close {
        /// `S` or `P`.
        what: char,
        /// Of the statement or portal.
        name: String,
    },
    /// Sync.
    Sync,
    /// Flush.
    Flush,
    /// FunctionCall.
    Call {
        /// OID of a built-in function.
        function: u32,
        /// As text.
        arguments: Vec<String>,
    },
    /// CopyData.
    CopyData(String),
    /// CopyDone.
    CopyDone,
    /// CopyFail.
    CopyFail(String),
}

impl Sent {
    /// As it goes over the wire; `side` replaces [`SIDE`].
    pub fn bytes(&self, side: &str) -> Vec<u8> {
        match self {
            Self::Query(sql) => raw::query(&sql.replace(SIDE, side)),
            Self::Parse { name, sql, types } => raw::parse_typed(name, &sql.replace(SIDE, side), types),
            Self::Bind { portal, statement, parameters, binary } => {
                let parameters: Vec<_> = parameters.iter().map(Option::as_deref).collect();
                let rows = if *binary { Format::Binary } else { Format::Text };
                raw::bind_to(portal, statement, &parameters, rows)
            }
            Self::Describe { what, name } => raw::describe(*what, name),
            Self::Execute { portal, rows_max } => raw::execute_portal(portal, *rows_max),
            Self::Close { what, name } => raw::close(*what, name),
            Self::Sync => raw::sync(),
            Self::Flush => raw::flush(),
            Self::Call { function, arguments } => {
                let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
                raw::call(*function, &arguments)
            }
            Self::CopyData(rows) => raw::copy_data(rows),
            Self::CopyDone => raw::copy_done(),
            Self::CopyFail(reason) => raw::copy_fail(reason),
        }
    }

    /// Whether a ReadyForQuery answers it.
    pub fn asks_for_ready(&self) -> bool {
        matches!(self, Self::Query(_) | Self::Call { .. } | Self::Sync)
    }

    /// Whether it belongs to a batch that a Sync ends.
    pub fn is_of_batch(&self) -> bool {
        matches!(
            self,
            Self::Parse { .. } | Self::Bind { .. } | Self::Describe { .. } | Self::Execute { .. } | Self::Close { .. }
        )
    }

    /// Whether it belongs to a COPY.
    pub fn is_of_copy(&self) -> bool {
        matches!(self, Self::CopyData(_) | Self::CopyDone | Self::CopyFail(_))
    }
}
