//! Messages in words, for whoever reads of a difference.

use std::fmt;

use howdah_tests::raw::Message;

use super::peer::{Answer, Ended};

/// Longest part of a message that is shown.
const SHOWN_MAX_BYTES: usize = 300;

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for message in &self.messages {
            writeln!(f, "    {}", words(message))?;
        }
        match self.ended {
            Ended::Complete => Ok(()),
            Ended::Closed => writeln!(f, "    (the connection ends)"),
            Ended::Silence => writeln!(f, "    (nothing more comes)"),
        }
    }
}

/// A message in one line.
pub fn words(message: &Message) -> String {
    let body = &message.body;
    let mut line = match message.tag {
        'E' | 'N' => format!("{} {}", message.tag, texts(body).join(" | ")),
        'D' => format!("D {}", row(message)),
        'T' => format!("T {}", columns(body).join(", ")),
        tag => format!("{tag} {}", body.escape_ascii()),
    };
    if let Some((end, _)) = line.char_indices().nth(SHOWN_MAX_BYTES) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// What tells an answer from one that has another cause: the kind of message, the SQLSTATE of an error.
pub fn gist(message: Option<&Message>) -> String {
    match message {
        None => "nothing".into(),
        Some(message) if "EN".contains(message.tag) => format!("{} {}", message.tag, message.sqlstate()),
        Some(message) => message.tag.into(),
    }
}

fn texts(body: &[u8]) -> Vec<String> {
    let parts = body.split(|byte| *byte == 0).filter(|part| !part.is_empty());
    parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn row(message: &Message) -> String {
    let value = |value: Option<String>| value.map_or("NULL".into(), |value| format!("{value:?}"));
    message.values().into_iter().map(value).collect::<Vec<_>>().join(", ")
}

fn columns(body: &[u8]) -> Vec<String> {
    let (mut rest, mut found) = (body.get(2..).unwrap_or_default(), Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let field = rest.get(end + 7..end + 11).and_then(|oid| oid.try_into().ok()).map(u32::from_be_bytes);
        found.push(format!("{}:{}", String::from_utf8_lossy(&rest[..end]), field.unwrap_or_default()));
        rest = rest.get(end + 19..).unwrap_or_default();
    }
    found
}
