//! Blanks the literals of a text: the key under which its shape is kept.
//!
//! This is the hot path: one pass over bytes for every request, so it is a scanner of our own and
//! not PostgreSQL's. It is safe because it gives up: whatever it does not understand it refuses,
//! and the caller then takes the exact text as the key. What it accepts obeys one rule:
//!
//! > Texts with equal blanked bytes differ only in the values of their numbers and plain strings, in
//! > how many of them, more than one, stand in an unbroken list, and in a comment's trace context.
//!
//! [`representative`] turns a key back into a text. Everything that is known of a shape is found in
//! that text and in none of the originals, so that a literal can never change what we believe.
//! The lexical rules are those of
//! <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>.

/// Stands for a number.
const NUMBER: u8 = 1;
/// Stands for a string.
const STRING: u8 = 2;
/// Stands for two or more numbers, separated by commas.
const NUMBERS: u8 = 3;
/// Stands for two or more strings, separated by commas.
const STRINGS: u8 = 4;

/// Bytes at which something may begin or end that is not copied as it stands, or not looked into.
/// Between them the scan runs without looking back.
const STOPS: [bool; 256] = table(b"0123456789'\"$-/)");

/// Bytes that continue a name, and that no number may be glued to.
const IN_NAME: [bool; 256] = {
    let mut name = table(b"0123456789$_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    let mut byte = 0x80;
    while byte < 256 {
        name[byte] = true;
        byte += 1;
    }
    name
};

const fn table(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] = true;
        at += 1;
    }
    table
}

/// Copies `text` into `out`, which is cleared first, with its literals blanked.
///
/// False when the text holds something this scanner leaves to PostgreSQL's: a backslash in a
/// string, strings with a prefix, dollar quotes, a number glued to a name, anything unterminated,
/// bytes that are not UTF-8. `out` then holds nothing of use.
pub fn blank_literals(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    // The markers must come from us alone; no statement holds such bytes in earnest.
    // A fold instead of `any`: it has no early exit and so looks at many bytes at once.
    let holds_markers = text.iter().fold(false, |found, &byte| found | (byte <= STRINGS));
    if holds_markers || !(text.is_ascii() || std::str::from_utf8(text).is_ok()) {
        return false;
    }
    out.reserve(text.len());
    Scanner { text, at: 0, copied: 0, may_end_row: false, out }.run().is_some()
}

struct Scanner<'a> {
    text: &'a [u8],
    /// The next byte to look at.
    at: usize,
    /// Everything before it is in `out`, one way or the other.
    copied: usize,
    /// A literal was met since the last closing parenthesis.
    may_end_row: bool,
    out: &'a mut Vec<u8>,
}

impl Scanner<'_> {
    /// None: refused.
    fn run(&mut self) -> Option<()> {
        while self.skip_to_stop() {
            match self.text[self.at] {
                // A digit or a dollar inside a name.
                b'0'..=b'9' | b'$' if self.before(1).is_some_and(in_name) => {
                    self.skip_until(|byte| !in_name(byte));
                }
                b'0'..=b'9' => self.number()?,
                b'$' => self.parameter()?,
                b'\'' => self.string()?,
                b'"' => self.quoted_name()?,
                b'-' if self.peek(1) == Some(b'-') => {
                    self.skip_until(|byte| matches!(byte, b'\n' | b'\r'));
                }
                b'/' if self.peek(1) == Some(b'*') => self.block_comment()?,
                b')' => self.close(),
                _ => self.at += 1,
            }
        }
        self.copy_up_to(self.at);
        Some(())
    }

    /// Goes on to the next byte of [`STOPS`]; false: to the end.
    fn skip_to_stop(&mut self) -> bool {
        // Most of a text is passed here, so four bytes at a time.
        for four in self.text[self.at..].chunks_exact(4) {
            if STOPS[usize::from(four[0])]
                | STOPS[usize::from(four[1])]
                | STOPS[usize::from(four[2])]
                | STOPS[usize::from(four[3])]
            {
                break;
            }
            self.at += 4;
        }
        self.skip_until(|byte| STOPS[usize::from(byte)])
    }

    /// Goes on to the next byte like that; false: to the end.
    fn skip_until(&mut self, stops: impl Fn(u8) -> bool) -> bool {
        let rest = &self.text[self.at..];
        let found = rest.iter().position(|&byte| stops(byte));
        self.at += found.unwrap_or(rest.len());
        found.is_some()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn before(&self, back: usize) -> Option<u8> {
        self.at.checked_sub(back).map(|at| self.text[at])
    }

    fn copy_up_to(&mut self, end: usize) {
        self.out.extend_from_slice(&self.text[self.copied..end]);
        self.copied = end;
    }

    /// A number such as `1`, `1.5`, `1.`, `.5`, `1e-3`; we stand at its first digit.
    ///
    /// Nothing may be glued to it: `1abc`, `0x1F` and `1_000` mean different things to different
    /// versions, and where `1.5.3` is cut depends on the digits.
    fn number(&mut self) -> Option<()> {
        let dots = self.text[self.copied..self.at].iter().rev().take_while(|&&byte| byte == b'.').count();
        // Two dots are a token of their own, as in `1..10`; one that is left over is a point.
        let has_point = dots % 2 == 1;
        let start = self.at - usize::from(has_point);
        self.digits();
        let before_two_dots = !has_point && self.peek(0) == Some(b'.') && self.peek(1) == Some(b'.');
        if !before_two_dots {
            if !has_point {
                self.fraction();
            }
            self.exponent()?;
            if self.peek(0).is_some_and(|byte| byte == b'.' || in_name(byte)) {
                return None;
            }
        }
        self.literal(start, NUMBER, NUMBERS);
        Some(())
    }

    fn fraction(&mut self) {
        if self.peek(0) == Some(b'.') {
            self.at += 1;
            self.digits();
        }
    }

    fn exponent(&mut self) -> Option<()> {
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if !self.peek(1 + sign).is_some_and(|byte| byte.is_ascii_digit()) {
                return None;
            }
            self.at += 1 + sign;
            self.digits();
        }
        Some(())
    }

    fn digits(&mut self) {
        self.skip_until(|byte| !byte.is_ascii_digit());
    }

    /// A plain string. Others are refused: inside `e'…'`, `x'…'`, `u&'…'` other rules hold, and
    /// whether a backslash escapes in a plain one is a setting of the session.
    #[inline(never)]
    fn string(&mut self) -> Option<()> {
        if self.follows_prefix(b"bBeEnNxX", 1) || self.follows_unicode_prefix() {
            return None;
        }
        let start = self.at;
        self.at += 1;
        loop {
            self.skip_until(|byte| matches!(byte, b'\'' | b'\\'));
            if self.peek(0)? == b'\\' {
                return None;
            }
            self.at += 1;
            // A doubled quote is one inside the string.
            if self.peek(0) != Some(b'\'') {
                break;
            }
            self.at += 1;
        }
        self.literal(start, STRING, STRINGS);
        Some(())
    }

    /// A quoted name, which stays. A doubled quote ends one name here and begins the next: the
    /// same bytes are copied.
    #[inline(never)]
    fn quoted_name(&mut self) -> Option<()> {
        if self.follows_unicode_prefix() {
            return None;
        }
        self.at += 1;
        self.skip_until(|byte| byte == b'"').then(|| self.at += 1)
    }

    fn follows_unicode_prefix(&self) -> bool {
        self.before(1) == Some(b'&') && self.follows_prefix(b"uU", 2)
    }

    /// One of these letters stands `back` bytes before, as a word of its own.
    fn follows_prefix(&self, letters: &[u8], back: usize) -> bool {
        self.before(back).is_some_and(|byte| letters.contains(&byte)) && !self.before(back + 1).is_some_and(in_name)
    }

    /// A parameter, which stays. Other dollars begin a dollar quote.
    fn parameter(&mut self) -> Option<()> {
        self.at += 1;
        let start = self.at;
        self.digits();
        let glued = self.peek(0).is_some_and(in_name);
        (self.at > start && !glued).then_some(())
    }

    /// A comment, which stays like the other kind: it may carry a hint. They nest.
    #[inline(never)]
    fn block_comment(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_block_comment()?;
        self.leave_out_trace(start);
        Some(())
    }

    fn skip_block_comment(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0)?, self.peek(1)) {
                (b'/', Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Some(());
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Empties the values of a trace context in the comment that began at `start`, which would make
    /// a shape of every single request: `/*traceparent='00-…-01'*/`.
    fn leave_out_trace(&mut self, start: usize) {
        for key in [&b"traceparent='"[..], b"tracestate='"] {
            let comment = &self.text[start..self.at];
            let Some(found) = comment.windows(key.len()).position(|window| window == key) else { continue };
            let value = start + found + key.len();
            // No slash and no star: without it the comment ends where it did.
            let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_%=,.:@".contains(byte);
            let length = self.text[value..self.at].iter().take_while(|&byte| harmless(byte)).count();
            if self.text.get(value + length) == Some(&b'\'') && value >= self.copied {
                self.copy_up_to(value);
                self.copied = value + length;
            }
        }
    }

    /// Replaces what lies between `start` and here by a marker, or lengthens the list before it.
    fn literal(&mut self, start: usize, one: u8, several: u8) {
        self.copy_up_to(start);
        self.copied = self.at;
        self.may_end_row = true;
        let before_comma = trim_end(self.out).strip_suffix(b",").map(trim_end);
        match before_comma.map(|list| (list.len(), list.last())) {
            Some((end, Some(&last))) if last == one || last == several => {
                self.out.truncate(end - 1);
                self.out.push(several);
            }
            _ => self.out.push(one),
        }
    }

    /// A closing parenthesis. The third and later of equal rows in `VALUES (1, 'a'), (2, 'b'), …`
    /// are dropped, so that a bulk INSERT has one shape however long it is.
    #[inline(never)]
    fn close(&mut self) {
        self.at += 1;
        if !std::mem::take(&mut self.may_end_row) {
            return;
        }
        self.copy_up_to(self.at);
        if let Some(end) = end_before_third_row(self.out) {
            self.out.truncate(end);
        }
    }
}

fn in_name(byte: u8) -> bool {
    IN_NAME[usize::from(byte)]
}

/// White space that may surround a comma in a list.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let mut end = bytes.len();
    while end > 0 && is_space(bytes[end - 1]) {
        end -= 1;
    }
    &bytes[..end]
}

/// Where to cut when `out` ends in three equal rows with a literal in each.
fn end_before_third_row(out: &[u8]) -> Option<usize> {
    let (before, third) = split_last_row(out)?;
    let (before, second) = split_row_and_comma(before)?;
    let end = before.len() + second.len();
    let (_, first) = split_row_and_comma(before)?;
    (first == second && second == third).then_some(end)
}

fn split_row_and_comma(out: &[u8]) -> Option<(&[u8], &[u8])> {
    split_last_row(trim_end(trim_end(out).strip_suffix(b",")?))
}

/// Splits `…(row)` before the parenthesis.
///
/// A row holds a marker, so it is not in a comment, and no line end, so that none of it is.
fn split_last_row(out: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = out.strip_suffix(b")")?;
    let length = inner.iter().rev().position(|&byte| !in_row(byte))?;
    let open = inner.len() - length - 1;
    let has_marker = inner[open..].iter().any(|&byte| byte <= STRINGS);
    (inner[open] == b'(' && has_marker).then(|| out.split_at(open))
}

fn in_row(byte: u8) -> bool {
    byte <= STRINGS || byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b' ' | b'\t' | b'-' | b':')
}

/// A text whose blanked bytes are `blanked`.
pub(super) fn representative(blanked: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(blanked.len() + 16);
    for &byte in blanked {
        match byte {
            // The space keeps `$1.5` from becoming `$11`.
            NUMBER => text.extend_from_slice(b" 1"),
            NUMBERS => text.extend_from_slice(b" 1, 1"),
            // Not empty: the tree of `COPY t TO ''` is that of `COPY t TO STDOUT`.
            STRING => text.extend_from_slice(b"'x'"),
            STRINGS => text.extend_from_slice(b"'x','x'"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests;
