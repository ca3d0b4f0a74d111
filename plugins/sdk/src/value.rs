//! Questions about the values that a client has bound.

use crate::{ParameterValue, Statement};

impl Statement {
    /// The value of a parameter, counted from zero. None for a policy that does not see
    /// [`StatementAttributes::PARAMETERS`](crate::StatementAttributes), for statements that have no such
    /// parameter, and while a statement is only being prepared.
    pub fn parameter(&self, index: u16) -> Option<&ParameterValue> {
        self.parameters.iter().find(|parameter| parameter.index == index).map(|parameter| &parameter.value)
    }
}

impl ParameterValue {
    /// The value, if it is known as text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Opaque(_) => None,
        }
    }

    /// The value of a `smallint`, `integer` or `bigint`, as text or in binary.
    ///
    /// Many drivers leave the types of parameters to the server and then send binary values: these are
    /// opaque, and only who knows the statement can say that they are integers.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Null => None,
            Self::Text(text) => text.trim().parse().ok(),
            Self::Opaque(bytes) => match *bytes.as_slice() {
                [a, b] => Some(i16::from_be_bytes([a, b]).into()),
                [a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d]).into()),
                [a, b, c, d, e, f, g, h] => Some(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Parameter, StatementKind, StatementTraits};

    use super::*;

    #[test]
    fn a_parameter_is_found_by_its_place() {
        let mut statement = Statement::new(StatementKind::Select, StatementTraits::READ_ONLY);
        assert_eq!(statement.parameter(0), None);
        let value = |text: &str| ParameterValue::Text(text.to_owned());
        for (index, text) in [(0, "a"), (1, "b")] {
            statement.parameters.push(Parameter { index, type_oid: 25, value: value(text) });
        }
        assert_eq!(statement.parameter(1).and_then(ParameterValue::text), Some("b"));
        assert_eq!(statement.parameter(2), None);
    }

    #[test]
    fn integers_are_read_from_text_and_from_binary() {
        let opaque = |bytes: &[u8]| ParameterValue::Opaque(bytes.to_vec());
        let cases = [
            (ParameterValue::Text("-7".to_owned()), Some(-7)),
            (ParameterValue::Text("seven".to_owned()), None),
            (opaque(&(-7_i16).to_be_bytes()), Some(-7)),
            (opaque(&7_i32.to_be_bytes()), Some(7)),
            (opaque(&i64::MIN.to_be_bytes()), Some(i64::MIN)),
            (opaque(&[0, 0, 7]), None),
            (ParameterValue::Null, None),
        ];
        for (value, integer) in cases {
            assert_eq!(value.integer(), integer, "{value:?}");
        }
    }
}
