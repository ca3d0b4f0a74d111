use pg_query::protobuf::Token;
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::IndexedRandom};

use super::{blank_literals, representative};
use crate::sql::plain::plain_literals;

/// The blanked text with markers made visible, or none when it was refused.
fn blanked(text: &str) -> Option<String> {
    let mut out = b"left over".to_vec();
    blank_literals(text.as_bytes(), &mut out).then(|| {
        let visible = |byte| match byte {
            1 => '#',
            2 => '@',
            3 => '%',
            4 => '&',
            other => char::from(other),
        };
        out.into_iter().map(visible).collect()
    })
}

#[test]
fn literals_are_blanked_and_nothing_else_changes() {
    for (text, expected) in [
        ("", ""),
        ("SELECT abalance FROM t1 WHERE aid = 4711;", "SELECT abalance FROM t1 WHERE aid = #;"),
        ("select 'it''s', '' , 'x'", "select &"),
        ("select 1.5e10 + .5 - 1. * 1e-3/2E+4", "select # + # - # * #/#"),
        ("select a[1:2], 1..10, a.b.c, t.*", "select a[#:#], #..#, a.b.c, t.*"),
        ("select $1, $23 + a1 + a$2 + _3", "select $1, $23 + a1 + a$2 + _3"),
        ("select $1.5", "select $1#"),
        ("select \"a1 ' -- \"\"2\" = 'x'", "select \"a1 ' -- \"\"2\" = @"),
        ("select a--1 'x'\n-1", "select a--1 'x'\n-#"),
        ("select /* 1 'x' /* 2 */ \" */ 3", "select /* 1 'x' /* 2 */ \" */ #"),
        ("select 4 /*/ 5 */ 6 */", "select # /*/ 5 */ # */"),
        ("select a-1, a - -1, +1 @-1", "select a-#, a - -#, +# @-#"),
        ("select 'a' 'b' 'c'\n 'd'", "select @ @ @\n @"),
        ("select interval '1 day', date'2020-01-01', x::numeric(10,2)", "select interval @, date@, x::numeric(%)"),
        ("set x = 'y'", "set x = @"),
    ] {
        assert_eq!(blanked(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_trace_context_in_a_comment_makes_no_new_shape() {
    for (text, expected) in [
        (
            "/*a='b',traceparent='00-12ab-34cd-01',tracestate='x%3D1,y=2',z='c'*/ select 1",
            "/*a='b',traceparent='',tracestate='',z='c'*/ select #",
        ),
        ("select 1 /*traceparent='00*/", "select # /*traceparent='00*/"),
        ("select 1 /*traceparent='/*'*/*/ + 1", "select # /*traceparent='/*'*/*/ + #"),
        ("select 1 /*tracestate='a',traceparent='b'*/", "select # /*tracestate='a',traceparent=''*/"),
        ("select 1 -- traceparent='00-12'", "select # -- traceparent='00-12'"),
        ("select traceparent='00-12'", "select traceparent=@"),
    ] {
        assert_eq!(blanked(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn lists_of_two_or_more_are_one() {
    for (text, expected) in [
        ("x in (1)", "x in (#)"),
        ("x in (1,2)", "x in (%)"),
        ("x in (1, 2 ,3 ,\n4, 5)", "x in (%)"),
        ("x in ('a', 'b','c') and y in (1)", "x in (&) and y in (#)"),
        ("f(1, 'a', 2)", "f(#, @, #)"),
        ("x in (1 /* , */, 2 -- ,\n, 3)", "x in (# /* , */, # -- ,\n, #)"),
        ("values (1, 'a'), (2, 'b')", "values (#, @), (#, @)"),
        ("values (1, 'a'), (2, 'b'), (3, 'c'),(4, 'd') returning 1", "values (#, @), (#, @) returning #"),
        ("values (1,2),(3,4),\n(5,6,7)\n, ( 8,9)", "values (%),(%)\n, ( %)"),
        ("values (1,null),(2,null),(3,default)", "values (#,null),(#,null),(#,default)"),
        ("values (now()),(now()),(now())", "values (now()),(now()),(now())"),
        ("select (a),(a),(a)", "select (a),(a),(a)"),
        ("values (1) -- (1),\n,(1),(1)", "values (#) -- (1),\n,(#),(#)"),
    ] {
        assert_eq!(blanked(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for text in [
        "select 'a\\'b'",
        "select e'x'",
        "select E'x'",
        "select b'1'",
        "select X'f'",
        "select n'x'",
        "select u&'x'",
        "select U&\"x\"",
        "select $$x$$",
        "select $a$x$a$",
        "select $1abc",
        "select $",
        "select 'x",
        "select 'x''",
        "select \"x",
        "select /* x",
        "select /* /* */",
        "select 1abc",
        "select 0x1F",
        "select 1_000",
        "select 1e",
        "select 1e+",
        "select 1.5ex",
        "select 1e'x'",
        "select 1.5.3",
        "select .5.a",
        "select 1.5..2",
        "select 1e5.",
        "select 2 */*",
        "select 1é",
        "select '\u{1}'",
        "select \u{4}",
        "a\0",
    ] {
        assert_eq!(blanked(text), None, "{text}");
    }
    assert!(!blank_literals(b"select '\xff'", &mut Vec::new()));
}

#[test]
fn a_representative_has_the_same_blanked_bytes() {
    for text in
        ["select 1, 2, 3 where x in ('a', 'b') and y = 'c' or z = 1", "select $1.5", "values (1,'a'),(2,'b'),(3,'c')"]
    {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        assert!(blank_literals(text.as_bytes(), &mut first));
        assert!(blank_literals(&representative(&first), &mut second));
        let squeeze = |bytes: &[u8]| bytes.iter().copied().filter(|&byte| byte != b' ').collect::<Vec<_>>();
        assert_eq!(squeeze(&first), squeeze(&second), "{text}");
    }
}

/// Statements to mutate: each has something that a scanner may stumble over.
const CORPUS: &[&str] = &[
    "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
    "select * from t where a in (1, 2, 3) and b in ('x','y') limit 10 offset 5",
    "insert into t (a,b) values (1,'a'),(2,'b'),(3,'c') on conflict (a) do update set b='d'",
    "update t set a = a - 1, b = 'it''s', c = -1.5e-3 where d = $1 and e=$2.5",
    "select a--1\n-1, /* c /* n */ 'q */ 2, \"i''d\" \"\"\"x\"",
    "select 1..10, 1.5.3, .5.5, 1., a.b, t.*, x[1:2], 'a'\n'b', 'a' -- c\n 'b'",
    "select e'a\\'b', b'1', x'f', u&'x', u&\"x\", n'x', $$d$$, $t$d'$t$, E'x''y'",
    "select 0x1F, 1_000, 12abc, 1e5, 1e+, date'2020-01-01', interval '1' day, x::numeric(10,2)",
    "set x to 'y', 'z'; begin; commit; listen \"a\"; select @-1 <@ 2 !=-3 ||'x'",
    "values (1, null, 'a'), (2, null, 'b'), (3, null, 'c'), (4, default, 'd')",
    "/*NO LOAD BALANCE*/ select 1 /* route=primary */ -- tenant='x'\r select 2",
    "select 'é', \"ü1\", é1, 1 é, 'a'é'b'",
    "/*traceparent='00-1a',tracestate='b=1'*/ select 1 /* /* traceparent='2' */ 'x' */",
];

const ALPHABET: &[&str] = &[
    "'", "'", "\"", "\\", "$", "-", "--", "/", "*", "/*", "*/", ".", "..", ",", "(", ")", "0", "1", "9", "e", "E", "x",
    "u&", "n", "b", "_", " ", "\n", "\r", "\t", ";", ":", "::", "+", "@", "é", "a", "'a'", "12", "(1)", ",(1)",
    ", 'a'", "$1", "\u{1}", "null", "[", "&",
];

fn mutate(random: &mut SmallRng) -> String {
    let mut text = String::from(*CORPUS.choose(random).expect("not empty"));
    for _ in 0..random.random_range(0..6) {
        let mut place = || {
            let boundaries: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            *boundaries.choose(random).expect("not empty")
        };
        let (from, to) = (place(), place());
        let (from, to) = (from.min(to), from.max(to));
        match random.random_range(0..4) {
            0 => text.insert_str(from, ALPHABET.choose(random).expect("not empty")),
            1 if from < text.len() => {
                text.remove(from);
            }
            2 => text = format!("{}{}", &text[..from], &CORPUS.choose(random).expect("not empty")),
            _ => text = format!("{}{}{}", &text[..to], &text[from..to], &text[to..]),
        }
    }
    text
}

/// What PostgreSQL's lexer makes of a text: kinds and texts of tokens, literals without value.
fn tokens(text: &str) -> Option<Vec<String>> {
    let tokens = pg_query::scan_tokens(text).ok()?;
    let named = tokens.iter().map(|token| match token.token() {
        // All that is ever left out of one is a trace context.
        Token::CComment => "comment".to_owned(),
        Token::Iconst | Token::Fconst => "#".to_owned(),
        Token::Sconst => "@".to_owned(),
        kind => format!("{kind:?} {}", &text[token.start as usize..token.end as usize]),
    });
    Some(named.collect())
}

/// Cuts lists of literals, and equal rows, to two where there are more.
fn cut(tokens: Vec<String>) -> Vec<String> {
    tokens.into_iter().fold(Vec::new(), |mut out, token| {
        out.push(token);
        cut_list(&mut out);
        cut_rows(&mut out);
        out
    })
}

fn cut_list(out: &mut Vec<String>) {
    if let [.., a, x, b, y, c] = out.as_slice()
        && (a == "#" || a == "@")
        && a == b
        && b == c
        && x == "Ascii44 ,"
        && x == y
    {
        out.truncate(out.len() - 2);
    }
}

fn cut_rows(out: &mut Vec<String>) {
    if out.last().is_none_or(|last| last != "Ascii41 )") {
        return;
    }
    let Some(open) = out.iter().rposition(|token| token == "Ascii40 (") else { return };
    let length = out.len() - open;
    let Some(first) = open.checked_sub(2 * (length + 1)) else { return };
    let row = |at: usize| &out[at..at + length];
    let comma = |at: usize| out[at] == "Ascii44 ,";
    let second = first + length + 1;
    if row(first) == row(open) && row(second) == row(open) && comma(second - 1) && comma(open - 1) {
        out.truncate(open - 1);
    }
}

#[test]
fn the_lexer_of_postgresql_sees_the_same_tokens_in_a_text_and_its_representative() {
    let mut random = SmallRng::seed_from_u64(2);
    let (mut accepted, mut out) = (0, Vec::new());
    for _ in 0..150_000 {
        let text = mutate(&mut random);
        if blank_literals(text.as_bytes(), &mut out) {
            accepted += 1;
            let representative = String::from_utf8(representative(&out)).expect("UTF-8 in, UTF-8 out");
            let (before, after) = (tokens(&text).map(cut), tokens(&representative).map(cut));
            assert_eq!(before, after, "{text:?} as {representative:?}");
        }
    }
    assert!(accepted > 30_000, "only {accepted} texts were accepted: the test is idle");
}

#[test]
fn the_lexer_of_postgresql_sees_the_same_tokens_once_literals_are_plain() {
    let is_string = |token: &String| ["Usconst", "Bconst", "Xconst"].iter().any(|kind| token.starts_with(kind));
    let alike = |token: String| if is_string(&token) { "@".to_owned() } else { token };
    let mut random = SmallRng::seed_from_u64(4);
    let (mut accepted, mut out) = (0, Vec::new());
    for _ in 0..100_000 {
        let text = mutate(&mut random);
        // What the scanner refuses even then is taken as it is.
        let Some(plain) = plain_literals(&text).filter(|plain| blank_literals(plain.as_bytes(), &mut out)) else {
            continue;
        };
        accepted += 1;
        let before = tokens(&text).map(|tokens| tokens.into_iter().map(alike).collect::<Vec<_>>());
        assert_eq!(before, tokens(&plain), "{text:?} as {plain:?}");
    }
    assert!(accepted > 10_000, "only {accepted} texts were rewritten: the test is idle");
}

#[test]
fn any_bytes_at_all_are_scanned_without_harm() {
    let mut random = SmallRng::seed_from_u64(3);
    let mut out = Vec::new();
    for _ in 0..50_000 {
        let length = random.random_range(0..40);
        let text: Vec<u8> = (0..length).map(|_| random.random()).collect();
        blank_literals(&text, &mut out);
        assert!(out.len() <= text.len());
    }
}
