//! Takes out of answers what may differ: process numbers, keys, OIDs of what users have made, and the
//! order in which parameters are reported.

use std::collections::HashMap;

use howdah_tests::raw::Message;

/// OIDs from here on are given to what users make.
/// <https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT>
const FIRST_NORMAL_OID: u32 = 16_384;

/// What precedes the number of a session's schema for temporary objects.
const TEMPORARY: &str = "pg_temp_";

/// What precedes a statement's name, which may be any of those that a session has given to one text.
const STATEMENT: &str = "prepared statement \"";

/// One connection's view of what may differ.
#[derive(Debug, Default)]
pub struct Normal {
    /// What the numbers of users' objects are called, in the order in which they were met.
    oids: HashMap<u32, u32>,
    /// What statements have where [`SIDE`](super::sent::SIDE) stands, with what comes before it.
    side: String,
}

impl Normal {
    /// For the side that is called this.
    pub fn new(side: &str) -> Self {
        Self { oids: HashMap::new(), side: format!("gid_{side}_") }
    }

    /// The answer without what may differ.
    pub fn answer(&mut self, mut messages: Vec<Message>) -> Vec<Message> {
        for message in &mut messages {
            self.message(message);
        }
        for run in messages.chunk_by_mut(|one, next| one.tag == 'S' && next.tag == 'S') {
            run.sort_by(|one, other| one.body.cmp(&other.body));
        }
        messages
    }

    fn message(&mut self, message: &mut Message) {
        match message.tag {
            'K' => message.body.clear(),
            'T' => self.row_description(&mut message.body),
            't' => self.parameter_description(&mut message.body),
            'E' | 'N' => {
                // A failed transaction refuses a Bind where it is read, or the Parse that a server had to be sent first.
                let is_refused = message.sqlstate() == "25P02";
                message.body = self.text(&message.body);
                if is_refused {
                    drop_place(&mut message.body);
                }
            }
            _ => {}
        }
    }

    /// <https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ROWDESCRIPTION>
    fn row_description(&mut self, body: &mut [u8]) {
        let mut at = 2;
        while let Some(name) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) {
            let table = at + name + 1;
            let column_type = table + 6;
            self.rename(body, table);
            self.rename(body, column_type);
            at = column_type + 12;
        }
    }

    fn parameter_description(&mut self, body: &mut [u8]) {
        for at in (2..body.len()).step_by(4) {
            self.rename(body, at);
        }
    }

    fn rename(&mut self, body: &mut [u8], at: usize) {
        let Some(place) = body.get_mut(at..at + 4) else { return };
        let oid = u32::from_be_bytes(place.try_into().expect("four bytes"));
        if oid >= FIRST_NORMAL_OID {
            let next = FIRST_NORMAL_OID + u32::try_from(self.oids.len()).expect("few objects");
            let name = *self.oids.entry(oid).or_insert(next);
            place.copy_from_slice(&name.to_be_bytes());
        }
    }

    fn text(&self, body: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(body).replace(&self.side, "gid_");
        let mut parts = text.split(TEMPORARY);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out.push_str(TEMPORARY);
            out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        if let Some((before, (_, after))) =
            out.split_once(STATEMENT).and_then(|(b, rest)| Some((b, rest.split_once('"')?)))
        {
            out = [before, STATEMENT, "\"", after].concat();
        }
        out.into_bytes()
    }
}

/// Takes out of an error where in PostgreSQL's source it was raised.
fn drop_place(error: &mut Vec<u8>) {
    let fields = error.split_inclusive(|byte| *byte == 0);
    *error = fields.filter(|field| !matches!(field[0], b'F' | b'L' | b'R')).flatten().copied().collect();
}

#[test]
fn what_users_have_made_is_called_by_its_order() {
    let mut normal = Normal::new("a");
    let field = |table: u32, column: u32| {
        let mut body = b"\0\x01name\0".to_vec();
        body.extend(table.to_be_bytes());
        body.extend([0, 1]);
        body.extend(column.to_be_bytes());
        body.extend([0, 4, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        Message { tag: 'T', body }
    };
    let described = normal.answer(vec![field(70_000, 23), field(80_000, 70_000), field(70_000, 25)]);
    assert_eq!(described, [field(16_384, 23), field(16_385, 16_384), field(16_384, 25)]);
    let parameters = Message { tag: 't', body: [&[0, 2][..], &80_000_u32.to_be_bytes(), &[0, 0, 0, 23]].concat() };
    assert_eq!(normal.answer(vec![parameters])[0].body, b"\0\x02\0\0\x40\x01\0\0\0\x17");
}

#[test]
fn numbers_of_temporary_schemas_and_names_of_sides_are_left_out() {
    let mut normal = Normal::new("b");
    let complaint = Message { tag: 'E', body: b"Mprepared statement \"a\" is unknown\0\0".to_vec() };
    assert_eq!(normal.answer(vec![complaint])[0].body, b"Mprepared statement \"\" is unknown\0\0");
    let complaint = Message { tag: 'E', body: b"Mgid_b_s1 is not in pg_temp_12.x, pg_temp_.y\0\0".to_vec() };
    assert_eq!(normal.answer(vec![complaint])[0].body, b"Mgid_s1 is not in pg_temp_.x, pg_temp_.y\0\0");
}
