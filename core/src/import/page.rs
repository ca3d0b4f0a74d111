//! What is written: TOML with a comment at whatever changed its meaning, and the same as a summary.
//!
//! Whoever says what became of a key says it here once, so that the file and the summary agree.

use std::{fmt::Write as _, path::Path};

use super::value;

/// Longest line of a comment.
const WIDTH: usize = 100;

/// Longest value that a comment repeats.
const SHOWN_MAX_CHARS: usize = 60;

/// What became of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Those that mean what they meant.
    pub kept: Vec<String>,
    /// Those that mean something else, and what.
    pub changed: Vec<(String, String)>,
    /// Those that are gone, and what to do instead.
    pub dropped: Vec<(String, String)>,
    /// What has to be done before the first start.
    pub to_do: Vec<String>,
}

/// The file in the making.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    pub tally: Tally,
}

impl Page {
    /// A page that opens by saying where it comes from.
    pub(super) fn new(program: &str, file: &Path) -> Self {
        let mut page = Self::default();
        page.comment(&format!("Written by `howdah import` from {}'s {}.", program, file.display()));
        page.comment(
            "CHANGED stands at what does not mean quite what it meant, DROPPED at what is gone. The rest means \
             what it meant. `howdah reference` prints every key.",
        );
        page.blank();
        page
    }

    /// Adds what stands on another page.
    pub(super) fn append(&mut self, other: Self) {
        self.text.push_str(&other.text);
        self.tally.kept.extend(other.tally.kept);
        self.tally.changed.extend(other.tally.changed);
        self.tally.dropped.extend(other.tally.dropped);
        self.tally.to_do.extend(other.tally.to_do);
    }

    pub(super) fn into_parts(self) -> (String, Tally) {
        (self.text, self.tally)
    }

    /// A key that means what it meant. `name` is for the summary.
    pub(super) fn keep(&mut self, name: &str, key: &str, value: &str) {
        self.line(&format!("{key} = {value}"));
        self.note_kept(name);
    }

    /// The same, for a key that stands in a line with others.
    pub(super) fn note_kept(&mut self, name: &str) {
        self.tally.kept.push(name.to_owned());
    }

    /// Says what is different about what follows.
    pub(super) fn change(&mut self, name: &str, what: &str) {
        self.comment(&format!("CHANGED {name}: {what}."));
        self.tally.changed.push((name.to_owned(), what.to_owned()));
    }

    /// Says what is gone, with its value, and what to do instead.
    pub(super) fn drop(&mut self, name: &str, value: &str, instead: &str) {
        self.comment(&format!("DROPPED {name} = {}: {instead}.", shown(value)));
        self.tally.dropped.push((name.to_owned(), instead.to_owned()));
    }

    /// Keys that are gone for one reason.
    pub(super) fn drop_all(&mut self, names: &[String], instead: &str) {
        self.comment(&format!("DROPPED {}: {instead}.", names.join(", ")));
        self.tally.dropped.push((names.join(", "), instead.to_owned()));
    }

    /// Asks for something before the first start.
    pub(super) fn ask_for(&mut self, what: &str) {
        self.tally.to_do.push(what.to_owned());
    }

    pub(super) fn heading(&mut self, path: &[&str]) {
        let path: Vec<_> = path.iter().map(|step| value::key(step)).collect();
        self.blank();
        self.line(&format!("[{}]", path.join(".")));
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Broken into lines of at most [`WIDTH`] characters.
    pub(super) fn comment(&mut self, sentence: &str) {
        let mut line = "#".to_owned();
        // TOML takes no control characters, not even in comments.
        for word in sentence.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 1 {
                self.line(&line);
                line = "#".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }
}

/// A value as a comment repeats it.
fn shown(value: &str) -> String {
    match value.chars().count() {
        0 => "(empty)".to_owned(),
        count if count > SHOWN_MAX_CHARS => value.chars().take(SHOWN_MAX_CHARS).collect::<String>() + "…",
        _ => value.to_owned(),
    }
}

impl Tally {
    /// For the terminal.
    pub(super) fn summary(&self, program: &str, from: &Path, written: &[&Path], holds_secrets: bool) -> String {
        let mut text = format!("{} ({program})\n", from.display());
        for file in written {
            let _ = writeln!(text, "  written  {}", file.display());
        }
        let _ = writeln!(text, "  kept     {}", list(&self.kept));
        for (title, entries) in [("changed", &self.changed), ("dropped", &self.dropped)] {
            let _ = writeln!(text, "  {title}  {}", entries.len());
            for (name, what) in entries {
                let _ = writeln!(text, "    {name}: {what}");
            }
        }
        if holds_secrets && !written.is_empty() {
            let _ = writeln!(text, "  It holds passwords, so only its owner may read it.");
        }
        for what in &self.to_do {
            let _ = writeln!(text, "  To do: {what}.");
        }
        text
    }
}

/// How many, and which.
fn list(names: &[String]) -> String {
    match names {
        [] => "0".to_owned(),
        names => format!("{}: {}", names.len(), names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_broken_into_lines_and_holds_no_control_characters() {
        let mut page = Page::default();
        page.drop("key", "a\u{1}b\nc = 1", &"word ".repeat(30));
        let (text, _) = page.into_parts();

        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| line.starts_with("# ") && line.len() <= WIDTH), "{text}");
        assert!(text.starts_with("# DROPPED key = a b c = 1: word"));
    }

    #[test]
    fn the_summary_says_what_the_file_says() {
        let mut page = Page::default();
        page.keep("databases.a.pool_size", "pool_size", "5");
        page.change("pool_mode", "it is another one");
        page.drop("peer_id", "1", "do without");
        page.ask_for("look");
        let (text, tally) = page.into_parts();

        assert_eq!(
            text,
            "pool_size = 5\n# CHANGED pool_mode: it is another one.\n# DROPPED peer_id = 1: do without.\n"
        );
        assert_eq!(
            tally.summary("PgBouncer", Path::new("a.ini"), &[Path::new("b.toml")], true),
            "a.ini (PgBouncer)\n  written  b.toml\n  kept     1: databases.a.pool_size\n  changed  1\n    \
             pool_mode: it is another one\n  dropped  1\n    peer_id: do without\n  It holds passwords, so only its \
             owner may read it.\n  To do: look.\n"
        );
    }
}
