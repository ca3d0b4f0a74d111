//! `[databases]` and `[users]`.

use std::{collections::BTreeMap, sync::Arc};

use figment::value::Dict;

use super::{
    super::{
        keys::sections,
        path::KeyPath,
        section::{Context, Section, nearest},
        types::{Config, Database, User},
    },
    refuse_name,
};

/// The console's names.
const RESERVED: [&str; 2] = ["howdah", "pgbouncer"];

pub(super) fn databases(
    context: &Context<'_>,
    table: &Dict,
    clusters: Option<&[&str]>,
    config: &Config,
) -> BTreeMap<String, Arc<Database>> {
    let path = KeyPath::root().key("databases");
    if table.is_empty() {
        refuse_name(
            context,
            &path,
            "no database: add [databases] with \"*\" = {} for all that the cluster has".to_owned(),
        );
    }
    let table_names: Vec<&str> = table.keys().map(String::as_str).collect();
    let databases = table.iter().filter_map(|(name, value)| {
        let table = context.table(&path, name, value)?;
        let path = path.key(name);
        if RESERVED.contains(&name.as_str()) {
            refuse_name(context, &path, format!("`{path}`: the console has this name"));
        }
        let section = Section::new(context, table, path, &sections::DATABASE);
        let database = database(&section, clusters);
        let is_entry = |name: &str| table_names.contains(&name) || table_names.contains(&"*");
        if let Some(name) = database.auth_dbname.as_deref().filter(|name| !is_entry(name)) {
            let path = section.path.key("auth_dbname");
            section.refuse("auth_dbname", format!("`{path}` is {name:?}, which is not in [databases]"));
        }
        pool_sizes(&section, &database, config);
        Some((name.clone(), Arc::new(database)))
    });
    databases.collect()
}

fn database(section: &Section<'_>, clusters: Option<&[&str]>) -> Database {
    Database {
        cluster: clusters.map(|clusters| cluster(section, clusters)).unwrap_or_default().into(),
        dbname: section.maybe("dbname"),
        user: section.maybe("user"),
        password: section.maybe("password"),
        pool_mode: section.maybe("pool_mode"),
        pool_size: section.maybe("pool_size"),
        min_pool_size: section.maybe("min_pool_size"),
        reserve_pool_size: section.maybe("reserve_pool_size"),
        max_db_connections: section.maybe("max_db_connections"),
        max_db_client_connections: section.maybe("max_db_client_connections"),
        server_lifetime: section.maybe("server_lifetime"),
        query_wait_timeout: section.maybe("query_wait_timeout"),
        auth_user: section.maybe("auth_user"),
        auth_query: section.maybe("auth_query"),
        auth_dbname: section.maybe("auth_dbname"),
        connect_query: section.maybe("connect_query"),
    }
}

fn cluster(section: &Section<'_>, clusters: &[&str]) -> String {
    let path = section.path.key("cluster");
    if section.raw("cluster").is_none() {
        if clusters.len() > 1 {
            section.refuse("cluster", format!("`{path}` is missing, it is one of {}", clusters.join(", ")));
        }
        return clusters.first().copied().unwrap_or_default().to_owned();
    }
    let name: String = section.maybe("cluster").unwrap_or_default();
    if !name.is_empty() && !clusters.contains(&name.as_str()) {
        let hint = nearest(&name, clusters).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        section.refuse("cluster", format!("`{path}` is {name:?}, which is not in [clusters]{hint}"));
    }
    name
}

fn pool_sizes(section: &Section<'_>, database: &Database, config: &Config) {
    let general = config.default_pool_size;
    match (database.min_pool_size, database.pool_size) {
        (Some(min), size) if min > size.unwrap_or(general) => {
            let (key, size) = (if size.is_some() { "pool_size" } else { "default_pool_size" }, size.unwrap_or(general));
            let path = section.path.key("min_pool_size");
            section.refuse("min_pool_size", format!("`{path}` is {min}, more than `{key}`, which is {size}"));
        }
        (None, Some(size)) if config.min_pool_size > size => {
            let (path, min) = (section.path.key("pool_size"), config.min_pool_size);
            section.refuse("pool_size", format!("`{path}` is {size}, less than `min_pool_size`, which is {min}"));
        }
        _ => {}
    }
}

pub(super) fn users(context: &Context<'_>, table: &Dict) -> BTreeMap<String, Arc<User>> {
    let path = KeyPath::root().key("users");
    let users = table.iter().filter_map(|(name, value)| {
        let table = context.table(&path, name, value)?;
        let section = Section::new(context, table, path.key(name), &sections::USER);
        let user = User {
            pool_mode: section.maybe("pool_mode"),
            pool_size: section.maybe("pool_size"),
            reserve_pool_size: section.maybe("reserve_pool_size"),
            max_user_connections: section.maybe("max_user_connections"),
            max_user_client_connections: section.maybe("max_user_client_connections"),
            query_timeout: section.maybe("query_timeout"),
            query_wait_timeout: section.maybe("query_wait_timeout"),
            client_idle_timeout: section.maybe("client_idle_timeout"),
            idle_transaction_timeout: section.maybe("idle_transaction_timeout"),
            transaction_timeout: section.maybe("transaction_timeout"),
        };
        Some((name.clone(), Arc::new(user)))
    });
    users.collect()
}
