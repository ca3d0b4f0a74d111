//! A key's full path, as it is written in TOML: `databases."*".pool_size`, `clusters.main.nodes[1].port`.

use std::fmt;

/// A path from the top of the configuration to one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// The whole configuration.
    pub(super) fn root() -> Self {
        Self::default()
    }

    /// The value of `name` in the table at this path.
    pub(super) fn key(&self, name: &str) -> Self {
        self.then(Step::Key(name.to_owned()))
    }

    /// The value at `index`, counted from 0, in the list at this path.
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    /// The table or list that this value is in.
    pub(super) fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(name) => {
                    f.write_str(if place == 0 { "" } else { "." })?;
                    if is_bare(name) { f.write_str(name)? } else { write!(f, "{name:?}")? }
                }
            }
        }
        Ok(())
    }
}

/// Whether TOML lets the key stand without quotes. <https://toml.io/en/v1.0.0#keys>
fn is_bare(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_in_toml() {
        let path = KeyPath::root().key("clusters").key("main").key("nodes").index(1).key("port");

        assert_eq!(path.to_string(), "clusters.main.nodes[1].port");
        assert_eq!(KeyPath::root().key("databases").key("*").to_string(), r#"databases."*""#);
        assert_eq!(KeyPath::root().to_string(), "");
    }

    #[test]
    fn the_parent_is_one_step_up() {
        let nodes = KeyPath::root().key("nodes");

        assert_eq!(nodes.index(3).parent(), Some(nodes));
        assert_eq!(KeyPath::root().parent(), None);
    }
}
