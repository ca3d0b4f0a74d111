//! `EXPLAIN ROUTE <statement> [FOR user [database]]`.

use super::{Command, CommandError, tokens};
use crate::admin::lexer::{Kind, Token};

/// Words that follow FOR in SQL itself, where they name no user. A user of such a name is quoted.
const SQL_AFTER_FOR: [&str; 13] = [
    "update", "share", "no", "key", "select", "table", "tables", "all", "insert", "delete", "values", "each", "execute",
];

/// What follows EXPLAIN ROUTE; `None` when the text is another command.
pub(super) fn statement(text: &str) -> Result<Option<&str>, CommandError> {
    let mut words = tokens(text);
    let (Some(first), Some(second)) = (words.next(), words.next()) else { return Ok(None) };
    if !first.is("EXPLAIN") || !second.is("ROUTE") {
        return Ok(None);
    }
    // Comments in front of the statement are hints, so it begins right behind the word.
    let sql = text[second.end()..].trim();
    if tokens(sql).next().is_none() {
        return Err(CommandError::Missing { command: "EXPLAIN ROUTE", what: "a statement" });
    }
    Ok(Some(sql))
}

/// The statement without the FOR at its end, if that names a user.
pub(super) fn command(text: &str) -> Command {
    let mut last = [None; 3];
    for token in tokens(text) {
        last = [last[1], last[2], Some(token)];
    }
    let (sql, user, database) = match last {
        [Some(word), Some(user), Some(database)] if is_for(word) && names_user(user) && is_name(database) => {
            (&text[..word.start], user.name(), database.name())
        }
        [_, Some(word), Some(user)] if is_for(word) && names_user(user) => (&text[..word.start], user.name(), None),
        _ => (text, None, None),
    };
    Command::ExplainRoute { sql: sql.trim().to_owned(), user, database }
}

fn is_for(word: Token<'_>) -> bool {
    word.is("FOR") && word.start > 0
}

fn names_user(word: Token<'_>) -> bool {
    is_name(word) && !SQL_AFTER_FOR.iter().any(|sql| word.is(sql))
}

fn is_name(word: Token<'_>) -> bool {
    let number = word.text.starts_with(|sign: char| sign.is_ascii_digit());
    word.kind == Kind::Quoted || (word.kind == Kind::Word && !number)
}
