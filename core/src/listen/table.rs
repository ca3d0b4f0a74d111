//! Who wants which channel, and which of them the connection listens to.
//!
//! Pure: sessions say what they want, the task asks what is [`due`](Table::due), does it, and
//! [`confirm`](Table::confirm)s it. There is no queue of commands, so nothing can overflow, a session
//! can leave without waiting, and after a reconnect everything is due again.

use std::{collections::HashMap, sync::Arc};

use super::{Channels, mailbox::Mailbox};

/// Most channels that are named in one query.
const DUE_MAX: usize = 500;

/// What the connection does with a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ear {
    /// It has not been told to listen.
    #[default]
    Deaf,
    /// It listens.
    Listens,
    /// An earlier connection listened.
    Lost,
}

#[derive(Debug, Default)]
struct Channel {
    ear: Ear,
    subscribers: HashMap<u64, Arc<Mailbox>>,
}

/// All channels of a hub.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// A task keeps the connection.
    pub(super) kept: bool,
    /// There is one.
    pub(super) connected: bool,
    /// Its `client_encoding`, or that of the one before; `None` while there has been none.
    pub(super) encoding: Option<Box<str>>,
    /// How many sessions have asked to hear all that was committed before.
    pub(super) asked: u64,
    /// How many of them have.
    pub(super) answered: u64,
    channels: HashMap<Arc<str>, Channel>,
    /// How many channels each session has.
    sessions: HashMap<u64, usize>,
}

/// What the connection has to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) listen: Vec<Arc<str>>,
    pub(super) unlisten: Vec<Arc<str>>,
}

impl Table {
    /// A session wants a channel.
    pub(super) fn subscribe(&mut self, channel: &Arc<str>, mailbox: &Arc<Mailbox>) {
        let subscribers = &mut self.channels.entry(Arc::clone(channel)).or_default().subscribers;
        if subscribers.insert(mailbox.id, Arc::clone(mailbox)).is_none() {
            *self.sessions.entry(mailbox.id).or_default() += 1;
        }
    }

    /// A session wants it no more.
    pub(super) fn unsubscribe(&mut self, channel: &str, mailbox: &Mailbox) {
        let Some(found) = self.channels.get_mut(channel) else { return };
        if found.subscribers.remove(&mailbox.id).is_none() {
            return;
        }
        if let Some(count) = self.sessions.get_mut(&mailbox.id) {
            *count -= 1;
            if *count == 0 {
                self.sessions.remove(&mailbox.id);
            }
        }
    }

    /// What the connection has to be told next. It is told before this is called again.
    ///
    /// Who comes back to a channel in between finds it gone, so it is listened to anew afterwards.
    pub(super) fn due(&mut self) -> Due {
        let mut due = Due::default();
        self.channels.retain(|name, channel| {
            let is_wanted = !channel.subscribers.is_empty();
            if due.listen.len() + due.unlisten.len() < DUE_MAX {
                match (is_wanted, channel.ear) {
                    (true, Ear::Deaf | Ear::Lost) => due.listen.push(Arc::clone(name)),
                    (false, Ear::Listens) => {
                        due.unlisten.push(Arc::clone(name));
                        return false;
                    }
                    _ => {}
                }
            }
            is_wanted || channel.ear == Ear::Listens
        });
        due
    }

    /// The connection listens to these now. Who has had one of them before, on another connection, may
    /// have missed something: the sessions are returned.
    pub(super) fn confirm(&mut self, listened: &[Arc<str>]) -> Vec<Arc<Mailbox>> {
        let mut missed = HashMap::new();
        for name in listened {
            let Some(channel) = self.channels.get_mut(name) else { continue };
            if std::mem::replace(&mut channel.ear, Ear::Listens) == Ear::Lost {
                missed.extend(channel.subscribers.iter().map(|(id, mailbox)| (*id, Arc::clone(mailbox))));
            }
        }
        missed.into_values().collect()
    }

    /// There is a connection, with that `client_encoding`.
    pub(super) fn connect(&mut self, encoding: &str) {
        self.connected = true;
        self.encoding = Some(encoding.into());
    }

    /// The connection has ended. True when somebody listened.
    pub(super) fn lose(&mut self) -> bool {
        self.connected = false;
        let mut listened = false;
        for channel in self.channels.values_mut().filter(|channel| channel.ear == Ear::Listens) {
            channel.ear = Ear::Lost;
            listened |= !channel.subscribers.is_empty();
        }
        listened
    }

    /// Nobody wants anything.
    pub(super) fn is_idle(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The connection listens to all of these.
    pub(super) fn hears_all(&self, channels: &Channels) -> bool {
        channels.iter().all(|name| self.channels.get(name).is_some_and(|channel| channel.ear == Ear::Listens))
    }

    /// Who wants a channel, with its name.
    pub(super) fn subscribers(&self, channel: &str) -> Option<(Arc<str>, Vec<Arc<Mailbox>>)> {
        let (name, found) = self.channels.get_key_value(channel)?;
        Some((Arc::clone(name), found.subscribers.values().cloned().collect()))
    }

    /// How many channels somebody wants.
    pub(super) fn channels(&self) -> usize {
        self.channels.values().filter(|channel| !channel.subscribers.is_empty()).count()
    }

    /// How many sessions want something.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(id: u64) -> Arc<Mailbox> {
        Arc::new(Mailbox::new(id))
    }

    fn name(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    fn due(table: &mut Table) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        let mut due = table.due();
        due.listen.sort();
        due.unlisten.sort();
        (due.listen, due.unlisten)
    }

    #[test]
    fn a_channel_is_listened_to_once_for_all_who_want_it() {
        let (mut table, one, other) = (Table::default(), mailbox(1), mailbox(2));
        table.subscribe(&name("a"), &one);
        table.subscribe(&name("a"), &other);
        table.subscribe(&name("b"), &other);
        assert_eq!(due(&mut table), (vec![name("a"), name("b")], vec![]));
        assert!(table.confirm(&[name("a"), name("b")]).is_empty());
        assert_eq!(due(&mut table), (vec![], vec![]));
        assert_eq!((table.channels(), table.sessions()), (2, 2));

        table.unsubscribe("a", &one);
        assert_eq!(due(&mut table), (vec![], vec![]), "the other still wants it");
        table.unsubscribe("a", &other);
        assert_eq!(due(&mut table), (vec![], vec![name("a")]));
        table.unsubscribe("b", &other);
        assert!(table.is_idle());
    }

    #[test]
    fn who_comes_while_others_go_is_heard() {
        let (mut table, one, other) = (Table::default(), mailbox(1), mailbox(2));
        table.subscribe(&name("a"), &one);
        table.due();
        table.confirm(&[name("a")]);
        table.unsubscribe("a", &one);
        assert_eq!(due(&mut table), (vec![], vec![name("a")]));
        // The UNLISTEN is on its way.
        table.subscribe(&name("a"), &other);
        assert!(!table.hears_all(&Channels::from([name("a")])));
        assert_eq!(due(&mut table), (vec![name("a")], vec![]));
        table.confirm(&[name("a")]);
        assert!(table.hears_all(&Channels::from([name("a")])));
    }

    #[test]
    fn who_leaves_before_the_answer_leaves_nothing_behind() {
        let (mut table, one) = (Table::default(), mailbox(1));
        table.subscribe(&name("a"), &one);
        assert_eq!(due(&mut table), (vec![name("a")], vec![]));
        table.unsubscribe("a", &one);
        table.confirm(&[name("a")]);
        assert_eq!(due(&mut table), (vec![], vec![name("a")]));
        table.subscribe(&name("b"), &one);
        table.unsubscribe("b", &one);
        assert_eq!(due(&mut table), (vec![], vec![]), "what was never asked for is not taken back");
    }

    #[test]
    fn after_a_reconnect_everything_is_due_and_those_who_were_there_are_told() {
        let (mut table, one, other) = (Table::default(), mailbox(1), mailbox(2));
        table.subscribe(&name("a"), &one);
        table.due();
        table.confirm(&[name("a")]);
        assert!(table.lose());
        assert!(!table.hears_all(&Channels::from([name("a")])));
        table.subscribe(&name("b"), &other);
        assert_eq!(due(&mut table), (vec![name("a"), name("b")], vec![]));
        let missed = table.confirm(&[name("a"), name("b")]);
        assert_eq!(missed.iter().map(|mailbox| mailbox.id).collect::<Vec<_>>(), [1]);
        assert!(table.lose());
        table.unsubscribe("a", &one);
        assert_eq!(due(&mut table), (vec![name("b")], vec![]), "an ended connection need not be told");
    }

    #[test]
    fn many_channels_are_named_in_several_queries() {
        let (mut table, one) = (Table::default(), mailbox(1));
        for at in 0..DUE_MAX + 1 {
            table.subscribe(&name(&format!("c{at}")), &one);
        }
        let first = table.due();
        assert_eq!(first.listen.len(), DUE_MAX);
        table.confirm(&first.listen);
        assert_eq!(table.due().listen.len(), 1);
    }
}
