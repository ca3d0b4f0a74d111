//! Turns binary values of a few types into the text that PostgreSQL shows for them, so that a policy
//! sees `7` whether a driver sends text or not. Other types are left as they are.

/// The value as text; `None` for a type that is not known here, and for bytes that are none of its
/// values. Binary forms are those of the types' receive functions in PostgreSQL.
pub(super) fn to_text(type_oid: u32, bytes: &[u8]) -> Option<String> {
    match type_oid {
        oid::BOOL => match bytes {
            [0] => Some("f".to_owned()),
            [1] => Some("t".to_owned()),
            _ => None,
        },
        oid::INT2 => Some(i16::from_be_bytes(bytes.try_into().ok()?).to_string()),
        oid::INT4 => Some(i32::from_be_bytes(bytes.try_into().ok()?).to_string()),
        oid::INT8 => Some(i64::from_be_bytes(bytes.try_into().ok()?).to_string()),
        oid::OID => Some(u32::from_be_bytes(bytes.try_into().ok()?).to_string()),
        oid::FLOAT4 => Some(float4(f32::from_be_bytes(bytes.try_into().ok()?))),
        oid::FLOAT8 => Some(float8(f64::from_be_bytes(bytes.try_into().ok()?))),
        oid::UUID => Some(uuid(bytes.try_into().ok()?)),
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME => std::str::from_utf8(bytes).ok().map(str::to_owned),
        _ => None,
    }
}

/// Numbers of built-in types, which never change; from PostgreSQL's `pg_type.dat`.
mod oid {
    pub const BOOL: u32 = 16;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const UUID: u32 = 2950;
}

/// PostgreSQL writes an exponent from this power of ten on, and below 0.0001.
const FLOAT4_EXPONENT_FROM: i32 = 6;
const FLOAT8_EXPONENT_FROM: i32 = 15;

fn float4(value: f32) -> String {
    float(value.into(), &format!("{value:e}"), &value.to_string(), FLOAT4_EXPONENT_FROM)
}

fn float8(value: f64) -> String {
    float(value, &format!("{value:e}"), &value.to_string(), FLOAT8_EXPONENT_FROM)
}

/// The shortest text that reads back as the same value, laid out as PostgreSQL does.
fn float(value: f64, scientific: &str, plain: &str, exponent_from: i32) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    // Not a number has no exponent; it is written as it is in both ways.
    let Some((digits, exponent)) = scientific.split_once('e') else { return plain.to_owned() };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..exponent_from).contains(&exponent) => plain.to_owned(),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        Err(_) => plain.to_owned(),
    }
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_known_types_read_as_postgresql_shows_them() {
        let uuid = 0xa0ee_bc99_9c0b_4ef8_bb6d_6bb9_bd38_0a11_u128.to_be_bytes();
        let cases: [(u32, &[u8], &str); 14] = [
            (oid::BOOL, &[1], "t"),
            (oid::BOOL, &[0], "f"),
            (oid::INT2, &(-7_i16).to_be_bytes(), "-7"),
            (oid::INT4, &i32::MIN.to_be_bytes(), "-2147483648"),
            (oid::INT8, &i64::MAX.to_be_bytes(), "9223372036854775807"),
            (oid::OID, &u32::MAX.to_be_bytes(), "4294967295"),
            (oid::TEXT, "gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (oid::VARCHAR, b"", ""),
            (oid::BPCHAR, b"a  ", "a  "),
            (oid::NAME, b"pg_class", "pg_class"),
            (oid::UUID, &uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (oid::FLOAT4, &1.5_f32.to_be_bytes(), "1.5"),
            (oid::FLOAT8, &0.1_f64.to_be_bytes(), "0.1"),
            (oid::FLOAT8, &(-0.0_f64).to_be_bytes(), "-0"),
        ];
        for (type_oid, bytes, text) in cases {
            assert_eq!(to_text(type_oid, bytes).as_deref(), Some(text), "type {type_oid}");
        }
    }

    /// What PostgreSQL 15 answers to `SELECT $1::float8` and `SELECT $1::float4`.
    #[test]
    fn floats_have_an_exponent_where_postgresql_writes_one() {
        let double = [
            (1e14, "100000000000000"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in double {
            assert_eq!(float8(value), text);
        }
        for (value, text) in [(999_999.0, "999999"), (1e6, "1e+06"), (0.1, "0.1"), (3.4e38, "3.4e+38")] {
            assert_eq!(float4(value), text);
        }
    }

    #[test]
    fn what_is_no_value_of_its_type_has_no_text() {
        let cases: [(u32, &[u8]); 8] = [
            (oid::BOOL, &[2]),
            (oid::BOOL, &[]),
            (oid::INT4, &[0, 0, 7]),
            (oid::INT8, &[0; 9]),
            (oid::UUID, &[0; 15]),
            (oid::FLOAT8, &[0; 4]),
            (oid::TEXT, &[0xff]),
            (0, &[0, 0, 0, 7]),
        ];
        for (type_oid, bytes) in cases {
            assert_eq!(to_text(type_oid, bytes), None, "type {type_oid}");
        }
    }
}
