//! SQL's EXECUTE of a statement that the client has prepared by the protocol.
//!
//! On servers the statement has another name, and this one may not have it: the text gets that name, and the
//! server the statement.

use std::{ops::Range, sync::Arc};

use super::{Session, relay::Flow, request::Request};
use crate::{
    server::statements::Statement,
    sql::effect::Effect,
    wire::{frame::HEADER_BYTES, frontend::put_query},
};

impl Session {
    /// If the request is an EXECUTE of a statement that the session knows, gives it the statement's name on
    /// servers.
    pub(super) fn name_executed(&mut self, request: &mut Request) -> Option<Arc<Statement>> {
        if self.prepared.is_empty() || request.flow != Flow::Closed || request.rest > 0 {
            return None;
        }
        if !self.query_begins_with(request, &[b"execute", b"create"]) {
            return None;
        }
        let shapes = self.shapes(request.len);
        let [shape] = &*shapes else { return None };
        if shape.facts.traits.multi_statement {
            return None;
        }
        let name = shape.facts.effects.iter().find_map(|effect| match effect {
            Effect::Execute(name) => Some(name),
            _ => None,
        })?;
        let statement = Arc::clone(&self.prepared.find(name.as_bytes())?.statement);
        let text = self.simple_text(request)?;
        let at = named_by_execute(text, name)?;
        let renamed = [&text[..at.start], &statement.name, &text[at.end..]].concat();
        let mut message = Vec::with_capacity(renamed.len() + HEADER_BYTES + 1);
        put_query(&mut message, &renamed);
        self.input.replace(0, request.len, &message);
        request.len = message.len();
        Some(statement)
    }

    /// Has the session's server prepare the statement in front of the request, if it has not yet.
    pub(super) fn have_prepared(&mut self, statement: &Arc<Statement>) {
        if let Some(lease) = &mut self.lease
            && !lease.statements.touch(statement.id)
        {
            let max = lease.pool().max_prepared();
            self.exchange.prepare_ahead(lease, statement, max);
        }
    }
}

/// Where a text names the statement that it executes.
fn named_by_execute(text: &[u8], name: &str) -> Option<Range<usize>> {
    const EXECUTE: &[u8] = b"execute";
    let words = text.windows(EXECUTE.len()).enumerate().filter(|(_, word)| word.eq_ignore_ascii_case(EXECUTE));
    words.map(|(at, _)| at + EXECUTE.len()).find_map(|end| {
        let space = text[end..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let at = end + space;
        let (len, named) = identifier(&text[at..])?;
        (named == name.as_bytes()).then_some(at..at + len)
    })
}

/// The identifier at the start of a text: its length there, and what it means.
/// <https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS>
fn identifier(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    if text.first() != Some(&b'"') {
        let goes_on = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..);
        let len = text.iter().take_while(goes_on).count();
        return (len > 0).then(|| (len, text[..len].to_ascii_lowercase()));
    }
    let mut named = Vec::new();
    let mut at = 1;
    loop {
        match (text.get(at)?, text.get(at + 1)) {
            (b'"', Some(b'"')) => {
                named.push(b'"');
                at += 2;
            }
            (b'"', _) => return Some((at + 1, named)),
            (byte, _) => {
                named.push(*byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_as_it_is_written() {
        let found = |text: &str, name: &str| named_by_execute(text.as_bytes(), name).map(|at| text[at].to_owned());
        assert_eq!(found("execute p (1)", "p").as_deref(), Some("p"));
        assert_eq!(found("EXECUTE\n P1;", "p1").as_deref(), Some("P1"));
        assert_eq!(found("execute \"A\"\"b\"(2)", "A\"b").as_deref(), Some("\"A\"\"b\""));
        assert_eq!(found("create table execute as execute p", "p").as_deref(), Some("p"));
        assert_eq!(found("execute /* which */ p", "p"), None, "left as it is");
        assert_eq!(found("execute \"p", "p"), None);
        assert_eq!(found("execute", "p"), None);
    }
}
