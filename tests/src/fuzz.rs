//! What is fuzzed: everything that reads a stranger's bytes, each with a property beyond "does not panic".
//!
//! `cargo xtask fuzz` looks for inputs that break one; `tests/corpus.rs` replays those that are kept
//! below `tests/fuzz/corpus`.

use std::{cell::RefCell, sync::Arc};

use howdah::{
    admin::command,
    session::unit::{Unit, first_unit, messages},
    sql::{
        catalog::Catalog,
        shape::{CACHE_BOUNDS, ShapeId, Shapes, SharedShapes, TEXT_MAX_BYTES},
    },
    wire::{
        frame::{self, MESSAGE_MAX_BYTES},
        frontend::{Bind, Parse, query_text},
        startup,
        take::ServerMessage,
    },
};

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 6] = [
    ("frame", frame),
    ("startup", first_packet),
    ("request", request),
    ("answer", answer),
    ("console", console),
    ("shape", shape),
];

/// The target with this name.
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// A message is found where its length says, wherever the bytes were cut.
fn frame(input: &[u8]) {
    let Ok(Some(header)) = frame::header(input) else { return };
    assert!((frame::HEADER_BYTES..=MESSAGE_MAX_BYTES + 1).contains(&header.total));
    assert_eq!(frame::header(&input[..frame::HEADER_BYTES]), Ok(Some(header)), "the body plays no part");
    let walked: usize = messages(input).map(|(_, _, whole)| whole.len()).sum();
    assert!(walked <= input.len());
}

/// The packet takes no more than there is, and more bytes behind it change nothing.
fn first_packet(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        let _ = startup::parse_options(text);
    }
    let Ok(Some((packet, taken))) = startup::parse(input) else { return };
    assert!(taken <= input.len());
    assert_eq!(startup::parse(&[input, b"more"].concat()), Ok(Some((packet.clone(), taken))));
    if let startup::FirstPacket::Startup(message) = packet {
        message.parameters.iter().for_each(|(name, value)| assert!(!name.is_empty() && !value.contains('\0')));
    }
}

/// A request ends at a message's end, and its messages read back as they are passed on.
fn request(input: &[u8]) {
    let Ok(unit) = first_unit(input) else { return };
    let length = match unit {
        Unit::Simple(length) | Unit::Flushed(length) | Unit::Sync(length) => length,
        Unit::Batch(batch) => batch.len,
        Unit::Stray(length) | Unit::Partial { complete: length } => length,
        Unit::Terminate | Unit::Unknown(_) => return,
    };
    let walked: usize = messages(&input[..length]).map(|(_, _, whole)| whole.len()).sum();
    assert_eq!(walked, length, "a request is whole messages");
    for (tag, body, _) in messages(&input[..length]) {
        match tag {
            b'Q' => {
                let _ = query_text(body);
            }
            b'P' => Parse::read(body).into_iter().for_each(renamed_parse_reads_back),
            b'B' => Bind::read(body).into_iter().for_each(renamed_bind_reads_back),
            _ => {}
        }
    }
}

fn renamed_parse_reads_back(parse: Parse<'_>) {
    let mut out = Vec::new();
    parse.put_renamed(&mut out, b"other");
    let (_, body, _) = messages(&out).next().expect("one message was written");
    assert_eq!(Parse::read(body), Some(Parse { name: b"other", ..parse }));
}

fn renamed_bind_reads_back(bind: Bind<'_>) {
    let out = bind.renamed(b"other", &mut [0; 4]).concat();
    let (_, body, _) = messages(&out).next().expect("one message was written");
    assert_eq!(Bind::read(body), Some(Bind { statement: b"other", ..bind }));
    let values = bind.bound_values(usize::MAX).unwrap_or_default();
    let bytes: usize = values.iter().filter_map(|value| value.bytes).map(<[u8]>::len).sum();
    assert!(bytes + 4 * values.len() <= bind.rest.len(), "values are parts of the message");
}

/// What a server says may be anything too.
fn answer(input: &[u8]) {
    let _ = ServerMessage::parse(input);
}

/// The parts of a text are commands or refused, one by one.
fn console(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(commands) = command::split(text) else { return };
    for one in commands {
        let _ = command::parse(one);
    }
}

/// The same text has the same shape, also when it was seen in the meantime.
fn shape(input: &[u8]) {
    thread_local! {
        static SHAPES: RefCell<Shapes> = RefCell::new(Shapes::new(Arc::new(SharedShapes::new(CACHE_BOUNDS))));
    }
    let catalog = Catalog::empty();
    SHAPES.with_borrow_mut(|shapes| {
        let first = shapes.look_up(input, &catalog);
        let again = shapes.look_up(input, &catalog);
        assert_eq!(first.facts, again.facts);
        let opaque = matches!(first.id, ShapeId::OPAQUE | ShapeId::OPAQUE_SESSION);
        assert!(input.len() <= TEXT_MAX_BYTES || opaque, "long texts are not looked into");
    });
}
