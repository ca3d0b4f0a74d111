//! SQL's EXECUTE of a statement that the client has prepared by the protocol.
//!
//! On servers the statement has another name, and this one may not have it: the text gets that name, and the
//! server the statement.

use std::sync::Arc;

use super::{Session, request::Request, unit::messages};
use crate::{
    server::statements::Statement,
    sql::execute::{Executed, may_execute},
    wire::frontend::{Parse, put_query, query_text},
};

impl Session {
    /// What the request executes by SQL and the session knows. An EXECUTE in it gets the statement's name on servers.
    /// One that is a named statement itself is for [`translate`](super::translate).
    #[inline]
    pub(super) fn name_executed(&mut self, request: &mut Request) -> Option<Arc<Statement>> {
        if self.prepared.is_empty() || !request.is_whole() {
            return None;
        }
        match self.input.filled().first() {
            Some(b'Q' | b'P') => self.rename_executed(request),
            // The unnamed statement of an earlier batch.
            _ => self.unnamed.executes.clone(),
        }
    }

    /// The same of a Query or a Parse.
    #[inline(never)]
    fn rename_executed(&mut self, request: &mut Request) -> Option<Arc<Statement>> {
        let (tag, body, whole) = messages(&self.input.filled()[..request.len]).next()?;
        let parse = match tag {
            b'P' => Some(Parse::read(body).filter(|parse| parse.name.is_empty())?),
            _ => None,
        };
        let text = parse.map_or_else(|| query_text(body), |parse| Some(parse.text))?;
        let executed = if may_execute(text) { Executed::read(text)? } else { return None };
        let statement = Arc::clone(&self.prepared.find(executed.name().as_bytes())?.statement);
        let text = executed.renamed(&statement.name);
        let (mut message, len) = (Vec::with_capacity(whole.len() + statement.name.len()), whole.len());
        match parse {
            Some(parse) => {
                Parse { text: &text, ..parse }.put_renamed(&mut message, b"");
                self.unnamed.executes = Some(Arc::clone(&statement));
            }
            None => put_query(&mut message, &text),
        }
        self.input.replace(0, len, &message);
        request.len = request.len - len + message.len();
        Some(statement)
    }

    /// Has the session's server prepare the statement in front of the request, if it has not yet.
    #[inline(never)]
    pub(super) fn have_prepared(&mut self, statement: &Arc<Statement>) {
        if let Some(lease) = &mut self.lease
            && !lease.statements.touch(statement.id)
        {
            let max = lease.pool().max_prepared();
            self.exchange.prepare_ahead(lease, statement, max);
        }
    }
}
