//! What the proxy needs to act on the nodes of a cluster of ours: the executor `exec`, as the nodes' own user.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use howdah::demo::{PgCluster, PgNode, ProxyConfig};

/// Commands on this machine act on the nodes.
pub fn executed_here(cluster: &PgCluster, config: ProxyConfig) -> ProxyConfig {
    let config = config
        .in_cluster("executor", "\"exec\"")
        .in_cluster("bin_dir", &quoted(&bin_dir(cluster.primary()).to_string_lossy()));
    let config = match owner(&cluster.primary().data) {
        Some(user) => config.in_cluster("run_as", &quoted(&user)),
        None => config,
    };
    cluster.nodes().iter().fold(config, |config, node| {
        config.node(&node.name, &format!("data_dir = {}", quoted(&node.data.to_string_lossy())))
    })
}

/// Where the programs are that the node runs.
pub fn bin_dir(node: &PgNode) -> PathBuf {
    let program = node.command("pg_ctl");
    Path::new(program.get_program()).parent().expect("a program is in a folder").to_owned()
}

/// The user that PostgreSQL runs as, when it is not ours.
pub fn owner(path: &Path) -> Option<String> {
    let uid = fs::metadata(path).expect("the folder is there").uid();
    let ask = |arguments: &[&str]| {
        let answer = Command::new("id").args(arguments).output().expect("id runs");
        String::from_utf8(answer.stdout).expect("id prints text").trim().to_owned()
    };
    (ask(&["-u"]) != uid.to_string()).then(|| ask(&["-nu", &uid.to_string()]))
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}
