//! What the policy sees of a session: sessions that look alike to it are of one class and share plans.

use std::rc::Rc;

use super::Session;
use crate::plugin::input::SessionAttributes;

impl Session {
    /// Finds the session's class: what the policy may see of it.
    pub(super) fn classify(&mut self) {
        let router = &self.cluster.router;
        let attributes = if router.requirements().session_parameters.is_empty() {
            router.class(&self.full_attributes)
        } else {
            router.class(&self.with_settings())
        };
        self.class = self.worker.plans.borrow_mut().class(self.generation, &attributes);
        self.attributes = Rc::new(attributes);
    }

    /// The session with what it has set by now in front of what it set at its start.
    fn with_settings(&self) -> SessionAttributes {
        let mut attributes = (*self.full_attributes).clone();
        let set = self.settings.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        attributes.parameters.splice(0..0, set);
        attributes
    }

    /// The session's settings may be others than before, which a policy may look at.
    pub(super) fn reclassify(&mut self) {
        if !self.cluster.router.requirements().session_parameters.is_empty() {
            self.classify();
        }
    }
}
