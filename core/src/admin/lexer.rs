//! Words, strings and signs of the console's language, and where a statement ends.
//!
//! Statements may hold SQL of any kind behind EXPLAIN ROUTE, so what PostgreSQL reads as one string
//! is one here, dollar quotes included. A string or comment without its end reaches to the end of the text.

/// A part of a text that is not space or comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bare word, a number among them.
    Word,
    /// `"…"`.
    Quoted,
    /// `'…'` or `$$…$$`.
    String,
    /// `$1`.
    Parameter,
    /// Any other sign.
    Sign(char),
}

/// A token and its place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// As written, quotes included.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub start: usize,
}

impl Token<'_> {
    /// Where the text goes on behind it, in bytes.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// It is that word, bare and in any case.
    pub fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// The name that it stands for; bare words keep their case, as PgBouncer has it.
    pub fn name(&self) -> Option<String> {
        match self.kind {
            Kind::Word => Some(self.text.to_owned()),
            Kind::Quoted => Some(unquote(self.text, '"')),
            _ => None,
        }
    }

    /// The value that it stands for: a name or a string.
    pub fn value(&self) -> Option<String> {
        match self.kind {
            Kind::String if self.text.starts_with('\'') => Some(unquote(self.text, '\'')),
            _ => self.name(),
        }
    }
}

fn unquote(text: &str, quote: char) -> String {
    let inner = text.strip_prefix(quote).unwrap_or(text);
    let inner = inner.strip_suffix(quote).unwrap_or(inner);
    let doubled = [quote, quote].iter().collect::<String>();
    inner.replace(&doubled, &quote.to_string())
}

/// The tokens of a text, in order.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

/// See [`tokens`].
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.at += space_bytes(&self.text[self.at..]);
        let rest = &self.text[self.at..];
        let (kind, length) = first(rest)?;
        let token = Token { kind, text: &rest[..length], start: self.at };
        self.at += length;
        Some(token)
    }
}

/// The first token of a text that does not begin with space, and its length in bytes.
fn first(rest: &str) -> Option<(Kind, usize)> {
    let sign = rest.chars().next()?;
    Some(match sign {
        '\'' => (Kind::String, quoted_bytes(rest, b'\'', false)),
        '"' => (Kind::Quoted, quoted_bytes(rest, b'"', false)),
        '$' => dollar(rest),
        'e' | 'E' if rest.as_bytes().get(1) == Some(&b'\'') => {
            (Kind::String, 1 + quoted_bytes(&rest[1..], b'\'', true))
        }
        _ if is_word(sign) => (Kind::Word, word_bytes(rest)),
        _ => (Kind::Sign(sign), sign.len_utf8()),
    })
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// Host and database names have hyphens and dots; two hyphens begin a comment.
fn word_bytes(rest: &str) -> usize {
    let fits = |(at, sign): (usize, char)| match sign {
        '-' => !rest[at + 1..].starts_with('-') && rest[at + 1..].starts_with(is_word),
        '.' => rest[at + 1..].starts_with(is_word),
        sign => is_word(sign) || sign == '$',
    };
    rest.char_indices().find(|&sign| !fits(sign)).map_or(rest.len(), |(at, _)| at)
}

/// The length of a string with its quotes; a doubled quote is part of it.
fn quoted_bytes(rest: &str, quote: u8, backslashes: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && backslashes {
            at += 2;
        } else if byte != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    rest.len()
}

/// `$1`, `$$…$$`, `$tag$…$tag$`, or a dollar sign.
fn dollar(rest: &str) -> (Kind, usize) {
    let inner = &rest[1..];
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 {
        return (Kind::Parameter, 1 + digits);
    }
    let tag = inner.find(|sign: char| !is_word(sign)).unwrap_or(inner.len());
    if !inner[tag..].starts_with('$') {
        return (Kind::Sign('$'), 1);
    }
    let delimiter = &rest[..tag + 2];
    let body = &rest[delimiter.len()..];
    let length = body.find(delimiter).map_or(rest.len(), |end| delimiter.len() + end + delimiter.len());
    (Kind::String, length)
}

/// The length of the white space and the comments at the start of a text.
fn space_bytes(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let blank = rest.len() - rest.trim_start().len();
        let comment = match rest[blank..].get(..2) {
            Some("--") => rest[blank..].find('\n').unwrap_or(rest.len() - blank),
            Some("/*") => comment_bytes(&rest[blank..]),
            _ => 0,
        };
        at += blank + comment;
        if comment == 0 {
            return at;
        }
    }
}

/// PostgreSQL's comments nest.
fn comment_bytes(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The statements of a text, parted by semicolons; those without any token are left out.
pub fn statements(text: &str) -> impl Iterator<Item = &str> {
    let mut tail = tokens(text);
    let mut start = 0;
    let mut ended = false;
    let pieces = std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let semicolon = tail.find(|token| token.kind == Kind::Sign(';'));
        ended = semicolon.is_none();
        let end = semicolon.map_or(text.len(), |token| token.start);
        let piece = &text[start..end];
        start = end + 1;
        Some(piece)
    });
    pieces.filter(|piece| tokens(piece).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        statements(text).map(str::trim).collect()
    }

    #[test]
    fn a_semicolon_inside_of_a_string_or_comment_parts_nothing() {
        assert_eq!(parts("a;b"), ["a", "b"]);
        assert_eq!(parts(" ;; a ; "), ["a"]);
        assert_eq!(parts("'a;''b' ; \"c;\" d"), ["'a;''b'", "\"c;\" d"]);
        assert_eq!(parts("a /* ; /* ; */ ; */ b -- ; c\n; d"), ["a /* ; /* ; */ ; */ b -- ; c", "d"]);
        assert_eq!(parts("$$;$$ ; $x$ ; $$ ; $x$"), ["$$;$$", "$x$ ; $$ ; $x$"]);
        assert_eq!(parts(r"e'\';' ; E'a' ; x"), [r"e'\';'", "E'a'", "x"]);
        assert_eq!(parts("/* nothing */ ; -- nothing"), [""; 0]);
    }

    #[test]
    fn what_has_no_end_reaches_to_the_end() {
        for text in ["'a;b", "\"a;b", "$$a;b", "a /* ;", r"e'\", "$a"] {
            assert_eq!(parts(text), [text], "{text}");
        }
    }

    #[test]
    fn a_name_is_a_word_or_quoted() {
        let names = |text| tokens(text).map(|token| token.name()).collect::<Vec<_>>();
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(names("my-db.x \"a \"\"b\"\"\" 'no'"), [name("my-db.x"), name("a \"b\""), None]);
        assert_eq!(names("a--b"), [name("a")]);
        assert_eq!(names("größe"), [name("größe")]);
        assert_eq!(tokens("'it''s'").next().unwrap().value(), name("it's"));
        assert_eq!(tokens("$1").next().unwrap().kind, Kind::Parameter);
    }
}
