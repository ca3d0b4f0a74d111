//! The policies that the program carries: `builtin:NAME`.

/// The policy that decides when another one fails.
pub(crate) const DEFAULT_ROUTER: &str = "read-write-split";

const EMBEDDED: &[(&str, &[u8])] = &[
    (DEFAULT_ROUTER, include_bytes!(concat!(env!("OUT_DIR"), "/read-write-split.wasm"))),
    ("failover", include_bytes!(concat!(env!("OUT_DIR"), "/failover.wasm"))),
    ("follow-primary", include_bytes!(concat!(env!("OUT_DIR"), "/follow-primary.wasm"))),
    ("sync-set", include_bytes!(concat!(env!("OUT_DIR"), "/sync-set.wasm"))),
];

/// The component of an embedded policy, by the name after `builtin:`.
pub fn builtin(name: &str) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, component)| *component)
}

/// Names of the embedded policies.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}
