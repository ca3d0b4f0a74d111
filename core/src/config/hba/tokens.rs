//! Lines of fields, as `pg_hba.conf` and `pg_ident.conf` have them.
//!
//! A field is a list of words parted by commas. Quotes keep white space, commas and `#`, and take
//! the meaning from keywords; two quotes inside of quotes are one. A backslash at the end of a line continues it.

/// One line that says something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, counted from 1.
    pub number: usize,
    pub fields: Vec<Field>,
}

/// Words parted by commas; never empty.
pub(super) type Field = Vec<Token>;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub text: String,
    /// It begins with a quote: no keyword, no `@file`.
    pub quoted: bool,
    /// Counted from 1.
    pub column: usize,
}

impl Token {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword
    }
}

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub number: usize,
    pub column: usize,
    pub what: &'static str,
}

/// The lines of a file; empty ones and comments are left out.
pub(super) fn lines(contents: &[u8]) -> Vec<Result<Line, Unreadable>> {
    let mut lines = Vec::new();
    let mut physical = contents.split(|byte| *byte == b'\n').enumerate();
    while let Some((index, first)) = physical.next() {
        let mut bytes = without_end(first).to_vec();
        while bytes.last() == Some(&b'\\') {
            bytes.pop();
            let Some((_, next)) = physical.next() else { break };
            bytes.extend_from_slice(without_end(next));
        }
        match line(index + 1, &bytes) {
            Ok(line) if line.fields.is_empty() => {}
            line => lines.push(line),
        }
    }
    lines
}

fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn line(number: usize, bytes: &[u8]) -> Result<Line, Unreadable> {
    let unreadable = |column, what| Unreadable { number, column, what };
    let text = std::str::from_utf8(bytes).map_err(|_| unreadable(1, "not UTF-8"))?;
    if let Some(at) = text.find('\0') {
        return Err(unreadable(text[..at].chars().count() + 1, "a zero byte"));
    }
    let mut reader = Reader { rest: text.chars().peekable(), column: 1 };
    let mut fields: Vec<Field> = Vec::new();
    let mut goes_on = false;
    while let Some(word) = reader.word().map_err(|column| unreadable(column, "a quote that is not closed"))? {
        match word {
            Word::Comma => goes_on = true,
            Word::Token(token) => {
                match fields.last_mut() {
                    Some(field) if goes_on => field.push(token),
                    _ => fields.push(vec![token]),
                }
                goes_on = false;
            }
        }
    }
    Ok(Line { number, fields })
}

enum Word {
    Comma,
    Token(Token),
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    column: usize,
}

impl Reader<'_> {
    /// The next word; `None` at the end of the line. The column of a quote that is not closed is the error.
    fn word(&mut self) -> Result<Option<Word>, usize> {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {
            self.column += 1;
        }
        match self.rest.peek() {
            None | Some('#') => Ok(None),
            Some(',') => {
                self.take();
                Ok(Some(Word::Comma))
            }
            Some(_) => self.token().map(|token| Some(Word::Token(token))),
        }
    }

    fn token(&mut self) -> Result<Token, usize> {
        let (column, quoted) = (self.column, self.rest.peek() == Some(&'"'));
        let mut text = String::new();
        // Where the quote stands that is open.
        let mut open = None;
        while let Some(next) = self.rest.peek().copied() {
            match (next, open) {
                ('"', Some(_)) => {
                    self.take();
                    if self.rest.peek() == Some(&'"') {
                        self.take();
                        text.push('"');
                    } else {
                        open = None;
                    }
                }
                ('"', None) => {
                    open = Some(self.column);
                    self.take();
                }
                (c, None) if c.is_whitespace() || c == ',' || c == '#' => break,
                (c, _) => {
                    self.take();
                    text.push(c);
                }
            }
        }
        open.map_or(Ok(Token { text, quoted, column }), Err)
    }

    fn take(&mut self) {
        self.rest.next();
        self.column += 1;
    }
}
