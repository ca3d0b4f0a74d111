//! Who acts on the machines of nodes.

use std::time::Duration;

use super::*;
use crate::config::ExecutorKind;

fn cluster(keys: &str, node: &str) -> String {
    format!(
        "auth_type = \"trust\"\n[databases]\n\"*\" = {{}}\n[clusters.main]\n{keys}\nnodes = [{{ name = \"n0\", host = \"h\"{node} }}]"
    )
}

#[test]
fn a_node_has_what_its_cluster_says_unless_it_says_otherwise() {
    let file = cluster(
        "executor = \"exec\"\ndata_dir = \"/data\"\nbin_dir = \"/bin\"\nkeep_diverged = false\nexecutor_timeout = \"5min\"",
        ", bin_dir = \"/other\", stop_command = [\"ctl\", \"stop\", \"{node}\"]",
    );

    let executor = given(&file).config().clusters["main"].nodes[0].executor.clone();

    assert_eq!(executor.kind, ExecutorKind::Exec);
    assert_eq!((executor.data_dir.as_deref(), executor.bin_dir.as_deref()), (Some("/data"), Some("/other")));
    assert_eq!(executor.stop_command, ["ctl", "stop", "{node}"]);
    assert_eq!((executor.keep_diverged, executor.timeout), (false, Duration::from_secs(300)));
    assert_eq!(executor.ssh_command, ["ssh"]);
}

#[test]
fn nobody_acts_on_a_machine_when_nothing_is_said() {
    let executor = given(&cluster("", "")).config().clusters["main"].nodes[0].executor.clone();

    assert_eq!(executor.kind, ExecutorKind::None);
    assert!(executor.keep_diverged);
}

#[test]
fn a_primary_is_armed_by_an_executor() {
    let problems = given(&cluster("armed_primary = true", "")).load();
    let said = problems.map_or_else(|errors| errors.to_string(), |_| String::new());
    assert!(said.contains("`clusters.main.armed_primary` needs an executor, and \"n0\" has none"), "{said}");
}

#[test]
fn an_executor_needs_what_it_works_with() {
    for (kind, missing) in [
        ("exec", &["data_dir"][..]),
        ("ssh", &["data_dir"]),
        ("sql-program", &[]),
        ("agent", &["agent_cert_file", "agent_key_file", "agent_ca_file"]),
    ] {
        let problems = given(&cluster("", &format!(", executor = {kind:?}"))).load();
        let said = problems.map_or_else(|errors| errors.to_string(), |_| String::new());
        for key in missing {
            assert!(said.contains(&format!("nodes[0].executor`: {kind:?} needs `{key}`")), "{said}");
        }
        assert_eq!(said.lines().count(), missing.len(), "{said}");
    }
}

#[test]
fn a_path_on_another_machine_is_absolute_and_a_placeholder_is_known() {
    let problems =
        given(&cluster("data_dir = \"data\"\nwork_dir = \"/\"\nstart_command = [\"a\", \"{x}\"]", "")).problems();

    assert_eq!(
        problems,
        [
            "howdah.toml:5:12: `clusters.main.data_dir` is \"data\", expected an absolute path on one line",
            "howdah.toml:6:12: `clusters.main.work_dir` is \"/\", expected an absolute path on one line",
            "howdah.toml:7:17: `clusters.main.start_command` contains \"{x}\": the placeholders are {data_dir}, {bin_dir}, \
             {node}, {op_id}, {epoch}, {timeout}, {mode}",
        ]
    );
}
