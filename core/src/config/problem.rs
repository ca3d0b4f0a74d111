//! What is wrong with a configuration, and where.

use std::fmt;

use thiserror::Error;

/// Where in the sources a problem is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file that is as a whole at fault, or lacks something.
    File(String),
    /// At a line and column, both counted from 1; columns are characters.
    Line {
        /// The file as it was named.
        file: String,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In an environment variable.
    Variable(String),
    /// In a `--set` flag, by its key.
    Flag(String),
    /// In none of them; there is no file, or it says nothing about this.
    Nowhere,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(file),
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::Flag(key) => write!(f, "--set {key}"),
            Self::Nowhere => f.write_str("configuration"),
        }
    }
}

/// A file's text, and where its lines start.
pub(super) struct Text<'a> {
    file: &'a str,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Text<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let after_newline = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self { file, text, starts: std::iter::once(0).chain(after_newline).collect() }
    }

    /// The place of a byte. An offset beyond the end is the end.
    pub(super) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or_default();
        Place::Line { file: self.file.to_owned(), line, column: before.chars().count() + 1 }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {message}")]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The key's full path, `clusters.main.nodes[1].port`; empty when no key is at fault.
    pub key: String,
    /// What is wrong and what is accepted. Never contains a secret.
    pub message: String,
}

/// Everything that is wrong with a configuration, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", lines(problems))]
pub struct ConfigErrors {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    /// Sorts the problems by place and drops repeated ones.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (&a.place, &a.key).cmp(&(&b.place, &b.key)));
        problems.dedup();
        Self { problems }
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// One problem a line, without a newline at the end.
fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = Text::new("f", "a = 1\nü = 2\n");
        let shown = |offset| text.place(offset).to_string();

        assert_eq!(shown(0), "f:1:1");
        assert_eq!(shown(6), "f:2:1");
        assert_eq!(shown(9), "f:2:3");
        assert_eq!(shown(999), "f:3:1");
        assert_eq!(Text::new("f", "").place(0).to_string(), "f:1:1");
    }

    #[test]
    fn problems_come_in_the_order_of_the_file() {
        let problem = |line| Problem {
            place: Place::Line { file: "f".into(), line, column: 1 },
            key: String::new(),
            message: format!("wrong {line}"),
        };

        let errors = ConfigErrors::new(vec![problem(10), problem(2), problem(2)]);

        assert_eq!(errors.to_string(), "f:2:1: wrong 2\nf:10:1: wrong 10");
    }
}
