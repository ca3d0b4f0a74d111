//! What is refused in `[clusters]`, `[databases]`, `[users]` and `[plugins]`.

use super::*;

#[test]
fn a_pool_keeps_no_more_than_it_has() {
    refused("min_pool_size = 30", &["1:17: `min_pool_size` is 30, more than `default_pool_size`, which is 20"]);
    tables_refused(
        &format!(
            "min_pool_size = 5\n{TABLES}a = {{ min_pool_size = 30 }}\nb = {{ min_pool_size = 5, pool_size = 4 }}\nc = {{ pool_size = 4 }}"
        ),
        &[
            "7:23: `databases.a.min_pool_size` is 30, more than `default_pool_size`, which is 20",
            "8:23: `databases.b.min_pool_size` is 5, more than `pool_size`, which is 4",
            "9:19: `databases.c.pool_size` is 4, less than `min_pool_size`, which is 5",
        ],
    );
}

#[test]
fn a_cluster_has_nodes() {
    tables_refused(
        "[clusters.main]\n[databases]\n\"*\" = {}",
        &[
            "2:1: `clusters.main.nodes` is missing, expected a list of tables such as { name = \"n0\", host = \"127.0.0.1\" }",
        ],
    );
    tables_refused(
        "[clusters.main]\nnodes = []\n[databases]\n\"*\" = {}",
        &["3:9: `clusters.main.nodes` is empty, a cluster has at least one node"],
    );
    tables_refused(
        "[clusters.main]\nnodes = { name = \"n0\" }\n[databases]\n\"*\" = {}",
        &[
            "3:9: `clusters.main.nodes` is a table, expected a list of tables such as { name = \"n0\", host = \"127.0.0.1\" }",
        ],
    );
    tables_refused(
        "clusters = 1\ndatabases = 2",
        &["2:12: `clusters` is 1, expected a table", "3:13: `databases` is 2, expected a table"],
    );
}

#[test]
fn a_cluster_has_at_most_a_thousand_nodes() {
    let node = |index: usize| format!("{{ name = \"n{index}\", host = \"h{index}\" }}");
    let file = |count: usize| {
        let nodes: Vec<String> = (0..count).map(node).collect();
        format!("auth_type = \"trust\"\n[clusters.main]\nnodes = [{}]\n[databases]\n\"*\" = {{}}", nodes.join(","))
    };

    assert_eq!(given(&file(1000)).config().clusters["main"].nodes.len(), 1000);
    assert_eq!(
        given(&file(1001)).problems(),
        ["howdah.toml:3:9: `clusters.main.nodes` has 1001 nodes, at most 1000 are accepted"]
    );
}

#[test]
fn every_node_is_checked() {
    let nodes = r#"[clusters."a b"]
nodes = [
  1,
  {},
  { name = "a" },
  { name = "a", host = "h", port = 0, weight = 1001 },
  { name = "b", host = "h", prot = 5 },
  { name = "b c", host = "", labels = "x" },
  { name = "c", host = "h", weight = 0 },
]
[databases]
"*" = {}"#;
    tables_refused(
        nodes,
        &[
            "2:11: `clusters.\"a b\"` is not a name of at most 63 letters, digits, `_`, `-` and `.`",
            "4:3: `clusters.\"a b\".nodes[0]` is no table, expected { name = \"n0\", host = \"127.0.0.1\" }",
            "5:3: `clusters.\"a b\".nodes[1].host` is missing, expected text that is not empty",
            "5:3: `clusters.\"a b\".nodes[1].name` is missing, expected a name of at most 63 letters, digits, `_`, `-` and `.`",
            "6:3: `clusters.\"a b\".nodes[2].host` is missing, expected text that is not empty",
            "7:12: `clusters.\"a b\".nodes[3].name`: another node of the cluster is called \"a\"",
            "7:36: `clusters.\"a b\".nodes[3].port` is 0, expected a whole number from 1 to 65535",
            "7:48: `clusters.\"a b\".nodes[3].weight` is 1001, expected a whole number from 0 to 1000",
            "8:29: unknown key `clusters.\"a b\".nodes[4].prot`; did you mean `port`?",
            "9:12: `clusters.\"a b\".nodes[5].name` is \"b c\", expected a name of at most 63 letters, digits, `_`, `-` and `.`",
            "9:26: `clusters.\"a b\".nodes[5].host` is \"\", expected text that is not empty",
            "9:39: `clusters.\"a b\".nodes[5].labels` is text, expected a table of texts",
            "10:24: `clusters.\"a b\".nodes[6].host`: another node of the cluster is at \"h\", port 5432",
        ],
    );
}

#[test]
fn every_database_is_checked() {
    let tables = r#"[clusters.one]
nodes = [{ name = "a", host = "h" }]
[clusters.two]
nodes = [{ name = "a", host = "h" }]
[databases]
"*" = {}
a = { cluster = "" }
howdah = { cluster = "two" }
pgbouncer = { cluster = "two", poolsize = 7, pool_size = 0, dbname = "" }"#;
    tables_refused(
        tables,
        &[
            "7:7: `databases.\"*\".cluster` is missing, it is one of one, two",
            "8:17: `databases.a.cluster` is \"\", expected text that is not empty",
            "9:1: `databases.howdah`: the console has this name",
            "10:1: `databases.pgbouncer`: the console has this name",
            "10:32: unknown key `databases.pgbouncer.poolsize`; did you mean `pool_size`?",
            "10:58: `databases.pgbouncer.pool_size` is 0, expected a whole number from 1 to 1000000",
            "10:70: `databases.pgbouncer.dbname` is \"\", expected text that is not empty",
        ],
    );
}

#[test]
fn every_plugin_is_checked() {
    let with = |plugins: &str| format!("{TABLES}{plugins}");
    tables_refused(
        &with("[plugins.ruoter]\ncomponent = \"builtin:a\"\n[plugins.router]\nsettings = 1"),
        &[
            "6:10: unknown key `plugins.ruoter`; did you mean `router`?",
            "8:1: `plugins.router.component` is missing, expected \"builtin:NAME\" or the path of a component",
            "9:12: `plugins.router.settings` is 1, expected a table",
        ],
    );
    tables_refused(
        &with(
            "[plugins.router]\ncomponent = \"gone.wasm\"\nsha256 = \"12\"\ngrants = [\"prob\", \"state\"]\non_failure = \"builtin\"",
        ),
        &[
            "7:13: `plugins.router.component`: cannot read gone.wasm: entity not found",
            "8:10: `plugins.router.sha256` is \"12\", expected 64 hexadecimal digits",
            "9:10: `plugins.router.grants` contains \"prob\", expected \"probes\" or \"state\"",
            "10:14: `plugins.router.on_failure` is \"builtin\", expected \"built-in\" or \"refuse\"; did you mean \"built-in\"?",
        ],
    );
    tables_refused(
        &with("[plugins.router]\ncomponent = \"builtin:\""),
        &["7:13: `plugins.router.component` is \"builtin:\", expected \"builtin:NAME\" or the path of a component"],
    );
    tables_refused(
        &with(
            "[plugins.follow_primary]\ncomponent = \"a\"\n[plugins.failover]\non_failure = \"refuse\"\ngrants = [\"node-sql\"]",
        ),
        &[
            "6:10: unknown key `plugins.follow_primary`; did you mean `follow-primary`?",
            "8:1: `plugins.failover.component` is missing, expected \"builtin:NAME\" or the path of a component",
            "9:1: unknown key `plugins.failover.on_failure`",
            "10:10: `plugins.failover.grants` contains \"node-sql\", expected \"probes\" or \"state\"",
        ],
    );
    tables_refused(&with("[plugins]\nrouter = \"builtin:x\""), &["7:10: `plugins.router` is text, expected a table"]);
}

#[test]
fn a_component_has_the_digest_asked_for() {
    let zeros = "0".repeat(64);
    let text = with_tables("") + &format!("[plugins.router]\ncomponent = \"a.wasm\"\nsha256 = \"{zeros}\"\n");

    assert_eq!(
        given(&text).file("a.wasm", "").problems(),
        ["howdah.toml:9:10: `plugins.router.sha256` is not that of a.wasm, which has \
          e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
    );
}
