//! SQL's EXECUTE of a statement that the client has prepared by the protocol.
//!
//! On servers the statement has another name, and this one may not have it: the text gets that name, and the
//! server the statement.

use std::sync::Arc;

use super::{Session, begin::starts_with, relay::Flow, request::Request, unit::messages};
use crate::{
    server::statements::Statement,
    sql::{effect::Effect, execute::name_at},
    wire::frontend::{Parse, put_query, query_text},
};

impl Session {
    /// What the request executes by SQL and the session knows. An EXECUTE in it gets the statement's name on servers.
    pub(super) fn name_executed(&mut self, request: &mut Request) -> Option<Arc<Statement>> {
        if self.prepared.is_empty() || request.flow != Flow::Closed || request.rest > 0 {
            return None;
        }
        let (tag, body, whole) = messages(&self.input.filled()[..request.len]).next()?;
        let text = match tag {
            b'Q' => query_text(body)?,
            b'P' => Parse::read(body).filter(|parse| parse.name.is_empty())?.text,
            // The unnamed statement of an earlier batch.
            _ => return self.unnamed.executes.clone(),
        };
        if ![&b"execute"[..], b"create"].iter().any(|word| starts_with(text, word)) {
            return None;
        }
        let len = whole.len();
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
        let message = self.renamed(len, &statement.name)?;
        self.input.replace(0, len, &message);
        request.len = request.len - len + message.len();
        if tag == b'P' {
            self.unnamed.executes = Some(Arc::clone(&statement));
        }
        Some(statement)
    }

    /// The first message of the input, with another name of what it executes.
    fn renamed(&self, len: usize, name: &[u8]) -> Option<Vec<u8>> {
        let mut message = Vec::with_capacity(len + name.len());
        let (tag, body, _) = messages(&self.input.filled()[..len]).next()?;
        let parse = if tag == b'P' { Some(Parse::read(body)?) } else { None };
        let text = std::str::from_utf8(parse.map_or_else(|| query_text(body), |parse| Some(parse.text))?).ok()?;
        let at = name_at(text)?;
        let text = [&text.as_bytes()[..at.start], name, &text.as_bytes()[at.end..]].concat();
        match parse {
            Some(parse) => Parse { text: &text, ..parse }.put_renamed(&mut message, b""),
            None => put_query(&mut message, &text),
        }
        Some(message)
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
