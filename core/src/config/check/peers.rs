//! `[peers]`: the other proxies that clients' cancel requests may be meant for.

use std::{collections::BTreeMap, sync::Arc};

use figment::value::Dict;

use super::super::{
    keys::sections,
    path::KeyPath,
    section::{Context, Section},
    types::{Config, Peer},
};

/// Greatest `peer_id`, as in PgBouncer: fourteen bits of a client's process id.
pub(in super::super) const ID_MAX: u16 = 16_383;

/// Most clients of a proxy with a `peer_id`: the other seventeen bits tell them apart, and some stay free.
const CLIENTS_MAX: usize = 100_000;

pub(super) fn peers(
    context: &Context<'_>,
    top: &Section<'_>,
    table: &Dict,
    config: &Config,
) -> BTreeMap<u16, Arc<Peer>> {
    if config.peer_id > 0 && config.max_client_conn > CLIENTS_MAX {
        let max = config.max_client_conn;
        let message = format!("`max_client_conn` is {max}; with `peer_id` it may be {CLIENTS_MAX} at most");
        top.refuse("max_client_conn", message);
    }
    if config.peer_id == 0 && !table.is_empty() {
        top.refuse("peers", "[peers] needs `peer_id`, which is not set: peers know clients by it".to_owned());
    }
    let path = KeyPath::root().key("peers");
    let peers = table.iter().filter_map(|(name, value)| {
        let table = context.table(&path, name, value)?;
        let section = Section::new(context, table, path.key(name), &sections::PEER);
        let peer = Peer { host: section.needed::<String>("host")?.into(), port: section.value("port") };
        match name.parse() {
            Ok(id @ 1..=ID_MAX) => Some((id, Arc::new(peer))),
            _ => {
                let message = format!("`{}`: a peer's name is its `peer_id`, 1 to {ID_MAX}", path.key(name));
                section.refuse("host", message);
                None
            }
        }
    });
    peers.collect()
}
