use std::task::Waker;

use super::{
    mailbox::{PARCELS_MAX, PARCELS_MAX_BYTES},
    *,
};

struct Nowhere;

impl Primary for Nowhere {
    fn target(&self) -> Option<Arc<ServerTarget>> {
        None
    }
}

fn subscription(hub: &Arc<Hub>, channels: &[&str]) -> Subscription {
    let mut subscription = hub.subscription(Arc::new(Nowhere));
    subscription.add(channels.iter().copied());
    subscription
}

fn is_ready(subscription: &Subscription) -> bool {
    subscription.poll_news(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn heard(channel: &str) -> Parcel {
    heard_of(channel, b"")
}

fn heard_of(channel: &str, message: &[u8]) -> Parcel {
    Parcel::Notification(Arc::new(Notification { channel: channel.into(), message: message.into() }))
}

#[test]
fn a_channel_is_named_as_it_is() {
    let mut sql = String::new();
    push_command(&mut sql, "LISTEN", "a \"b\"");
    assert_eq!(sql, "LISTEN \"a \"\"b\"\"\";");
}

#[tokio::test]
async fn a_session_hears_nothing_of_channels_that_it_has_left() {
    let hub = Arc::new(Hub::default());
    let mut session = subscription(&hub, &["a", "b"]);
    for channel in ["a", "b", "a"] {
        session.mailbox.put(heard(channel));
    }
    assert!(is_ready(&session));
    session.keep(|channel| channel == "b");
    assert_eq!(session.next(), Some(heard("b")));
    assert_eq!(session.next(), None);
    assert!(!is_ready(&session));
}

#[tokio::test]
async fn a_session_that_leaves_listens_to_nothing() {
    let hub = Arc::new(Hub::default());
    let (one, other) = (subscription(&hub, &["a"]), subscription(&hub, &["a", "b"]));
    assert_eq!((hub.numbers().channels, hub.numbers().sessions), (2, 2));
    drop(other);
    assert_eq!((hub.numbers().channels, hub.numbers().sessions), (1, 1));
    drop(one);
    assert_eq!(hub.numbers(), Numbers::default());
}

#[tokio::test]
async fn who_reads_nothing_loses_all_and_learns_of_it() {
    let hub = Arc::new(Hub::default());
    let mut session = subscription(&hub, &["a"]);
    for _ in 0..PARCELS_MAX {
        session.mailbox.put(heard("a"));
    }
    assert!(!session.has_overflowed());
    session.mailbox.put(heard("a"));
    assert!(session.has_overflowed() && is_ready(&session));
    assert_eq!(session.next(), None);
}

#[tokio::test]
async fn long_notifications_are_kept_by_their_length() {
    let hub = Arc::new(Hub::default());
    let mut session = subscription(&hub, &["a"]);
    let long = || {
        let message = vec![b'x'; PARCELS_MAX_BYTES / 2].into();
        Parcel::Notification(Arc::new(Notification { channel: "a".into(), message }))
    };
    for _ in 0..4 {
        session.mailbox.put(long());
        assert_eq!(session.next(), Some(long()), "what has been told counts no more");
    }
    session.mailbox.put(long());
    session.mailbox.put(long());
    assert!(!session.has_overflowed());
    session.mailbox.put(heard_of("a", b"x"));
    assert!(session.has_overflowed());
}

#[tokio::test]
async fn a_lost_connection_is_told_once_and_counted() {
    let hub = Arc::new(Hub::default());
    let mut session = subscription(&hub, &["a", "b"]);
    let names = hub.table().due().listen;
    hub.confirm(&names);
    session.listens().await;
    assert_eq!(session.next(), None);

    hub.lose();
    let names = hub.table().due().listen;
    hub.confirm(&names[..1]);
    hub.confirm(&names[1..]);
    session.listens().await;
    assert_eq!(session.next(), Some(Parcel::Gap));
    assert_eq!(session.next(), None);
    assert_eq!(hub.numbers().gaps, 1);
}
