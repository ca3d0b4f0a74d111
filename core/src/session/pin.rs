//! Sessions that keep their server: what cannot be carried to another stays with the one that has it.

use super::{Session, error::SessionError, traces::Causes};
use crate::{clock::Moment, config::ServerPin, sql::effect::Effect};

impl Session {
    /// Why the session keeps its server.
    pub(super) fn pins(&self) -> Causes {
        self.pins
    }

    /// The session keeps its server between transactions.
    #[inline]
    pub(super) fn is_pinned(&self) -> bool {
        !self.pins.is_none()
    }

    /// Something of the session's is lost with its server: all its requests go there.
    #[inline]
    pub(super) fn is_bound(&self) -> bool {
        !self.pins.of_loss().is_none()
    }

    pub(super) fn set_pins(&mut self, causes: Causes) {
        let shared = &self.set.shared;
        match (self.pins.of_loss().is_none(), causes.of_loss().is_none()) {
            (true, false) => shared.count_pinned(),
            (false, true) => shared.count_unpinned(),
            _ => {}
        }
        let shard = self.set.stats.shard(self.worker.id);
        for (counter, (cause, _)) in shard.pins.iter().zip(Causes::WORDS) {
            if causes.contain(cause) && !self.pins.contain(cause) {
                counter.add(1);
            }
        }
        self.pins = causes;
        self.info.note_pins(causes, Moment::now());
    }

    /// Whether operators let the session run what may pin it.
    pub(super) fn may_pin(&self, effects: &[Effect]) -> Result<(), SessionError> {
        if self.is_bound() {
            return Ok(());
        }
        // In transaction mode somebody else listens for the session.
        let stays = |cause: &Causes| *cause != Causes::LISTEN || !self.has_listener();
        match effects.iter().filter_map(pins).find(stays) {
            Some(cause) => self.may_keep_server(cause),
            None => Ok(()),
        }
    }

    /// Whether operators let the session keep its server for that cause.
    pub(super) fn may_keep_server(&self, cause: Causes) -> Result<(), SessionError> {
        if self.is_bound() {
            return Ok(());
        }
        let cause = cause.words().next().unwrap_or_default();
        let config = &self.worker.shared.generation.load().config;
        let refused = config.server_pin == ServerPin::Refuse;
        let full = config.pin_limit > 0 && self.set.shared.pinned() >= config.pin_limit;
        match (refused, full) {
            (true, _) => Err(SessionError::PinRefused { cause }),
            (false, true) => Err(SessionError::TooManyPinned { cause, limit: config.pin_limit }),
            (false, false) => Ok(()),
        }
    }
}

/// The cause that an effect is, when it surely outlives its transaction.
fn pins(effect: &Effect) -> Option<Causes> {
    Some(match effect {
        Effect::CreateTemporary => Causes::TEMPORARY,
        Effect::DeclareCursor { hold: true, .. } => Causes::CURSOR,
        Effect::AdvisoryLock => Causes::ADVISORY_LOCK,
        Effect::Prepare { .. } => Causes::PREPARED,
        Effect::Listen(_) => Causes::LISTEN,
        Effect::Load => Causes::LIBRARY,
        Effect::Other => Causes::OTHER,
        _ => return None,
    })
}
