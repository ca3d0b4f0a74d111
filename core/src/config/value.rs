//! From a value as it is written to a type, and back to text.

use std::{net::SocketAddr, time::Duration};

use figment::value::{Num, Value};

use super::{
    healing::{AutoRejoin, SynchronousMode},
    keys::{Bare, Kind},
    secret::Secret,
    types::*,
};

/// A type that a key's value can become.
pub(super) trait FromValue: Sized {
    /// `None` when the value is not what `kind` asks for.
    fn from_value(value: &Value, kind: &Kind) -> Option<Self>;
}

impl FromValue for bool {
    /// PgBouncer's `1`, `on` and `yes` are accepted as well.
    fn from_value(value: &Value, _: &Kind) -> Option<Self> {
        match value {
            Value::Bool(_, flag) => Some(*flag),
            Value::Num(..) | Value::String(..) => match plain_text(value)?.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => Some(true),
                "false" | "off" | "no" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

macro_rules! whole_numbers {
    ($($number:ty),*) => {$(
        impl FromValue for $number {
            fn from_value(value: &Value, kind: &Kind) -> Option<Self> {
                whole(value, kind)?.try_into().ok()
            }
        }
    )*};
}

whole_numbers!(u16, u32, u64, usize);

fn whole(value: &Value, kind: &Kind) -> Option<u64> {
    let number = match (kind, value) {
        // A bare number would be decimal in TOML and octal in PgBouncer; only the quoted form is clear.
        (Kind::Mode, Value::String(_, text)) => {
            return u64::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
        }
        (Kind::Mode, _) => return None,
        (_, Value::Num(_, number)) => number
            .to_u128()
            .and_then(|number| u64::try_from(number).ok())
            .or_else(|| number.to_i128().and_then(|number| u64::try_from(number).ok()))?,
        (_, Value::String(_, text)) => text.trim().parse().ok()?,
        _ => return None,
    };
    match kind {
        Kind::Whole { min, max } => (*min..=*max).contains(&number).then_some(number),
        _ => None,
    }
}

impl FromValue for Duration {
    fn from_value(value: &Value, kind: &Kind) -> Option<Self> {
        let Kind::Time { bare, min, max } = kind else {
            return None;
        };
        let text = plain_text(value)?;
        let duration = parse_duration(&text, *bare)?;
        (*min..=*max).contains(&duration).then_some(duration)
    }
}

/// `30`, `0.5`, `"200ms"`, `"5 min"`.
fn parse_duration(text: &str, bare: Bare) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match (unit.trim(), bare) {
        ("us", _) => 1e-6,
        ("ms", _) | ("", Bare::Milliseconds) => 1e-3,
        ("s", _) | ("", Bare::Seconds) => 1.0,
        ("min", _) => 60.0,
        ("h", _) => 3600.0,
        ("d", _) => 86400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

impl FromValue for String {
    fn from_value(value: &Value, kind: &Kind) -> Option<Self> {
        let Value::String(_, text) = value else {
            return None;
        };
        // The protocol ends texts with a zero byte.
        let fits = !text.contains('\0')
            && match kind {
                Kind::Word => !text.is_empty(),
                Kind::Name => is_name(text),
                Kind::Sha256 => text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
                _ => true,
            };
        fits.then(|| text.clone())
    }
}

/// Names go into log lines, metrics and console commands; they need no quoting there.
pub(super) fn is_name(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// As long as PostgreSQL lets its identifiers be (NAMEDATALEN - 1).
pub(super) const NAME_MAX_BYTES: usize = 63;

impl FromValue for Secret {
    fn from_value(value: &Value, kind: &Kind) -> Option<Self> {
        String::from_value(value, kind).map(Self::from)
    }
}

impl FromValue for Vec<String> {
    /// A list of texts, or PgBouncer's comma-separated text.
    fn from_value(value: &Value, _: &Kind) -> Option<Self> {
        match value {
            Value::Array(_, items) => items.iter().map(|item| String::from_value(item, &Kind::Word)).collect(),
            Value::String(_, text) if text.contains('\0') => None,
            Value::String(_, text) => {
                Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
            _ => None,
        }
    }
}

impl FromValue for SocketAddr {
    fn from_value(value: &Value, _: &Kind) -> Option<Self> {
        value.as_str()?.parse().ok().filter(|address: &Self| address.port() != 0)
    }
}

impl FromValue for Vec<Value> {
    fn from_value(value: &Value, _: &Kind) -> Option<Self> {
        value.as_array().map(<[Value]>::to_vec)
    }
}

impl FromValue for serde_json::Value {
    fn from_value(value: &Value, _: &Kind) -> Option<Self> {
        matches!(value, Value::Dict(..)).then(|| serde_json::to_value(value).ok()).flatten()
    }
}

impl FromValue for Vec<(String, String)> {
    fn from_value(value: &Value, _: &Kind) -> Option<Self> {
        let labels = value.as_dict()?.iter().map(|(name, value)| Some((name.clone(), plain_text(value)?)));
        labels.collect()
    }
}

/// An enumeration of words.
pub(super) trait Words: Copy + PartialEq + 'static {
    /// The words; when several mean the same, ours comes first.
    const WORDS: &'static [(&'static str, Self)];

    /// The word for this value.
    fn word(self) -> &'static str {
        let mut words = Self::WORDS.iter();
        words.find(|(_, value)| *value == self).map(|(word, _)| *word).expect("every value has a word")
    }
}

/// The accepted words.
pub(super) fn words<T: Words>() -> Vec<&'static str> {
    T::WORDS.iter().map(|(word, _)| *word).collect()
}

impl<T: Words> FromValue for T {
    fn from_value(value: &Value, _: &Kind) -> Option<Self> {
        let text = value.as_str()?;
        T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    }
}

impl Words for PoolMode {
    const WORDS: &'static [(&'static str, Self)] = &[("session", Self::Session), ("transaction", Self::Transaction)];
}

impl Words for Scheduling {
    const WORDS: &'static [(&'static str, Self)] = &[("batch", Self::Batch), ("other", Self::Other)];
}

impl Words for ServerPin {
    const WORDS: &'static [(&'static str, Self)] = &[("allow", Self::Allow), ("refuse", Self::Refuse)];
}

impl Words for Failover {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("external", Self::External), ("automatic", Self::Automatic)];
}

impl Words for SynchronousMode {
    const WORDS: &'static [(&'static str, Self)] = &[("off", Self::Off), ("on", Self::On), ("strict", Self::Strict)];
}

impl Words for AutoRejoin {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("follow", Self::Follow), ("repair", Self::Repair)];
}

impl Words for CommitOutcome {
    const WORDS: &'static [(&'static str, Self)] = &[("unknown", Self::Unknown), ("resolve", Self::Resolve)];
}

impl Words for UnacknowledgedCommit {
    const WORDS: &'static [(&'static str, Self)] = &[("warn", Self::Warn), ("error", Self::Error)];
}

impl Words for SwitchoverPinned {
    const WORDS: &'static [(&'static str, Self)] = &[("refuse", Self::Refuse), ("disconnect", Self::Disconnect)];
}

impl Words for AuthType {
    /// `plain` is PgBouncer's word for `password`.
    const WORDS: &'static [(&'static str, Self)] = &[
        ("trust", Self::Trust),
        ("password", Self::Password),
        ("plain", Self::Password),
        ("md5", Self::Md5),
        ("scram-sha-256", Self::ScramSha256),
        ("cert", Self::Cert),
        ("hba", Self::Hba),
    ];
}

impl Words for SslMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];
}

impl Words for LogFormat {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Words for ExecutorKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("exec", Self::Exec),
        ("ssh", Self::Ssh),
        ("sql-program", Self::SqlProgram),
        ("agent", Self::Agent),
    ];
}

impl Words for OnFailure {
    const WORDS: &'static [(&'static str, Self)] = &[("built-in", Self::BuiltIn), ("refuse", Self::Refuse)];
}

/// A scalar as text.
fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(_, Num::F64(number)) => Some(number.to_string()),
        Value::Num(_, number) => {
            number.to_i128().map(|n| n.to_string()).or_else(|| number.to_u128().map(|n| n.to_string()))
        }
        _ => None,
    }
}

/// The value for an error message: short, on one line.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(_, text) if text.chars().count() > SHOWN_MAX_CHARS => {
            format!("{:?}…", text.chars().take(SHOWN_MAX_CHARS).collect::<String>())
        }
        Value::String(_, text) => format!("{text:?}"),
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
        scalar => plain_text(scalar).unwrap_or_else(|| "nothing".to_owned()),
    }
}

/// Longest piece of a value that an error message repeats.
const SHOWN_MAX_CHARS: usize = 60;
