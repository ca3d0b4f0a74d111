//! Rewrites a Bind: the statement that it names on the server must be there, and be what its client was told.

use std::{rc::Rc, sync::Arc};

use super::{NOBODY, Translator};
use crate::{
    server::{
        UNNAMED_UNKNOWN,
        description::Description,
        statements::{Given, Statement},
    },
    session::{
        prepared::{Prepared, Told},
        relay::described::Question,
        unit::takes_any_result,
    },
    wire::{
        ask,
        frontend::{Bind, put_named},
        reply::TxStatus,
    },
};

/// The names of a portal and of a statement without names, as a Bind begins with them.
const UNNAMED: &[u8] = b"\0\0";

/// The statement that a Bind is to name on the server.
pub enum BindTo {
    /// The one of the client's name.
    Unchanged,
    /// This one, which the server has by then.
    Statement(Arc<Statement>),
    /// None that exists: its result is not what the client was told.
    Nobody,
    /// The server has to say first what it makes of it, for which it was asked.
    Asked,
}

/// Whether the client may use a statement as a server has it.
enum Standing {
    Good,
    /// The server has to say what it makes of it.
    Unsure,
    /// The server had it before it became what the client was told.
    Outdated,
    /// It has changed since the client was told.
    Changed,
}

impl Translator<'_> {
    pub(super) fn bind(&mut self, body: &[u8], before: &[u8], batch: &[u8]) -> bool {
        self.exchange.counts.binds += 1;
        if body.starts_with(UNNAMED) && self.has_unnamed() && self.exchange.question == Question::None {
            self.bound = None;
            return false;
        }
        let Some(bind) = Bind::read(body) else { return false };
        if self.bind_at_once(&bind, before) {
            return true;
        }
        self.bind_with_care(&bind, before, batch)
    }

    /// Most often the server has the statement, and it is what the client was told. False when it may be otherwise.
    #[inline]
    fn bind_at_once(&mut self, bind: &Bind<'_>, before: &[u8]) -> bool {
        let Some(Prepared { statement, told, .. }) = self.prepared.find_mut(bind.statement) else { return false };
        if statement.is_retired() || statement.executes.is_some() || self.exchange.question != Question::None {
            return false;
        }
        let Some(Given { description, .. }) = self.server.statements.take_up(statement.id) else { return false };
        let all_said = told.description().has_result() && description.has_result();
        if !all_said || description.fits(&told.description()) != Some(true) {
            return false;
        }
        self.bound = None;
        self.exchange.to_server.extend(before);
        self.exchange.to_server.extend_parts(bind.renamed(&statement.name, &mut [0; 4]));
        true
    }

    #[inline(never)]
    fn bind_with_care(&mut self, bind: &Bind<'_>, before: &[u8], batch: &[u8]) -> bool {
        let length = self.exchange.to_server.len();
        match self.bind_to(bind, before, batch) {
            BindTo::Unchanged if bind.statement.is_empty() && self.exchange.to_server.len() > length => {
                self.exchange.to_server.extend_parts(bind.renamed(b"", &mut [0; 4]));
                true
            }
            BindTo::Unchanged => false,
            BindTo::Asked => true,
            BindTo::Statement(statement) => {
                self.exchange.to_server.extend_parts(bind.renamed(&statement.name, &mut [0; 4]));
                true
            }
            BindTo::Nobody => {
                self.exchange.to_server.extend_parts(bind.renamed(NOBODY, &mut [0; 4]));
                true
            }
        }
    }

    /// What a Bind is to name, in a batch of which this is known. All that has to come first has been written then, and
    /// `before` in front of it, unless nothing changes.
    pub fn bind_to(&mut self, bind: &Bind<'_>, before: &[u8], batch: &[u8]) -> BindTo {
        self.bound = None;
        if bind.statement.is_empty() {
            return self.bind_to_unnamed(before, batch);
        }
        let Some(known) = self.known(bind.statement, batch) else { return BindTo::Unchanged };
        let (mut statement, told) = (Arc::clone(&known.statement), Rc::clone(&known.told));
        let given = self.server.statements.take_up(statement.id);
        let standing = match self.exchange.take_answer() {
            Some(answer) if answer.fits(&told.description()) == Some(false) => Standing::Changed,
            Some(_) => Standing::Good,
            // The server skips the rest of the batch, or says that the transaction has failed.
            None if self.exchange.failed || self.server.status == TxStatus::Failed => Standing::Good,
            None => standing(given, &told, batch),
        };
        if matches!(standing, Standing::Outdated) {
            statement.retire();
            statement = statement.renewed();
            if let Some(known) = self.prepared.find_mut(bind.statement) {
                known.statement = Arc::clone(&statement);
            }
        }
        self.exchange.to_server.extend(before);
        match standing {
            Standing::Good => {
                if given.is_none() || statement.executes.is_some() {
                    self.ensure(&statement);
                }
                if !told.description().has_result() || given.is_none_or(|given| !given.description.has_result()) {
                    self.bound = Some((bind.portal.into(), statement.id, told));
                }
                BindTo::Statement(statement)
            }
            Standing::Unsure | Standing::Outdated => {
                self.ensure(&statement);
                self.ask(statement.id, &statement.name);
                BindTo::Asked
            }
            Standing::Changed => self.refuse(),
        }
    }

    fn bind_to_unnamed(&mut self, before: &[u8], batch: &[u8]) -> BindTo {
        let told = self.unnamed.told.as_ref().map(|told| told.description()).unwrap_or_default();
        if let Some(answer) = self.exchange.take_answer() {
            if answer.fits(&told) == Some(false) {
                // It has to be asked again.
                self.server.unnamed = UNNAMED_UNKNOWN;
                self.exchange.to_server.extend(before);
                return self.refuse();
            }
            return BindTo::Unchanged;
        }
        let is_new = self.ensure_unnamed(before);
        let is_refused = self.exchange.failed || self.server.status == TxStatus::Failed;
        if is_new && !is_refused && told != Description::default() && self.unnamed.id != 0 && !takes_any_result(batch) {
            self.ask(0, b"");
            return BindTo::Asked;
        }
        BindTo::Unchanged
    }

    /// Has the server say what it makes of a statement.
    fn ask(&mut self, id: u64, name: &[u8]) {
        self.exchange.ask(id);
        self.put(&[], |out| {
            put_named(out, b'D', name);
            ask::flush(out);
        });
    }

    /// A Bind in this place will fail as if the server had had the statement when its result changed.
    fn refuse(&mut self) -> BindTo {
        self.exchange.binds_nobody = true;
        BindTo::Nobody
    }
}

/// Whether what the server gives, if it has the statement, is what the client was told and counts on in this batch.
fn standing(given: Option<Given>, told: &Told, batch: &[u8]) -> Standing {
    let fits = given.map(|given| given.description).unwrap_or_default().fits(&told.description());
    if fits == Some(true) || takes_any_result(batch) {
        return Standing::Good;
    }
    match (given, fits) {
        (Some(given), Some(false)) if told.is_before(given.since) => Standing::Changed,
        (Some(_), Some(false)) => Standing::Outdated,
        _ => Standing::Unsure,
    }
}
