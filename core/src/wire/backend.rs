//! The server's messages whose inside we need.

use super::frame::cstr;

/// A ParameterStatus: name and value.
pub fn parameter_status(body: &[u8]) -> Option<(&str, &str)> {
    let (name, rest) = cstr(body)?;
    let (value, _) = cstr(rest)?;
    Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
}

/// A field of an ErrorResponse or a NoticeResponse: `C` is the SQLSTATE, `M` the message.
/// <https://www.postgresql.org/docs/current/protocol-error-fields.html>
pub fn error_field(body: &[u8], field: u8) -> Option<&[u8]> {
    let mut rest = body;
    while let Some((&kind, after)) = rest.split_first() {
        let (value, next) = cstr(after)?;
        if kind == field {
            return Some(value);
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_an_error_are_found() {
        let body = b"SERROR\0VERROR\0C25006\0Mcannot execute UPDATE in a read-only transaction\0\0";
        assert_eq!(error_field(body, b'C'), Some(&b"25006"[..]));
        assert_eq!(error_field(body, b'H'), None);
        assert_eq!(error_field(b"Cno end", b'C'), None);
    }

    #[test]
    fn a_parameter_status_has_name_and_value() {
        assert_eq!(parameter_status(b"TimeZone\0UTC\0"), Some(("TimeZone", "UTC")));
        assert_eq!(parameter_status(b"TimeZone"), None);
    }
}
