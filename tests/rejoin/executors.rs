//! Each way to a machine leads there, and tells in words when it does not.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use howdah::{
    config::{Executor as Settings, ExecutorKind},
    control::{
        host::{Executor, HostError, Job, Source, Step, StopMode, Upstream, Warrant},
        rejoin::{Order, decide::Course},
    },
    demo::{ports, wait},
};
use howdah_tests::{PATIENCE, program};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::{
    lab::{Lab, bin_dir, block_on, owner, text},
    said,
};

/// All that an executor can do for a node that is down, one step after the other, each of them twice.
fn assert_does_everything(lab: &Lab, kind: ExecutorKind) {
    let host = lab.executor(kind, 0);
    lab.promote();
    lab.write_on_old_primary();

    let state = lab.carry_out(&host, vec![Step::Status]).0.unwrap();
    assert!(state.running && !state.standby_signal);
    for _ in 0..2 {
        let state = lab.carry_out(&host, vec![Step::Stop(StopMode::Fast)]).0.unwrap();
        assert!(!state.running && state.control.unwrap().is_clean());
    }
    let (outcome, heard) = lab.rejoin_with(&host, kind, Order::Rejoin);
    assert_eq!(outcome.unwrap().decision.course, Course::Rewind, "{heard:?}");
    lab.assert_follows();
    let state = lab.carry_out(&host, vec![Step::Start(Warrant::Rejoin)]).0.unwrap();
    assert!(state.running && state.standby_signal, "a second start changes nothing");
    let (outcome, heard) = lab.rejoin_with(&host, kind, Order::Reinit);
    assert_eq!(outcome.unwrap().decision.course, Course::Rebuild, "{heard:?}");
    assert!(said(&heard, "step rebuild") && said(&heard, "step start"), "{heard:?}");
    lab.assert_follows();
}

#[test]
fn nobody_does_nothing_and_names_the_setting() {
    let lab = Lab::start(0);

    let refused = lab.carry_out(&lab.executor(ExecutorKind::None, 0), vec![Step::Status]).0.unwrap_err();

    assert!(refused.to_string().contains("its `executor` is \"none\" ([clusters.main]"), "{refused}");
}

#[test]
fn commands_here_do_everything() {
    assert_does_everything(&Lab::start(1), ExecutorKind::Exec);
}

#[test]
fn commands_of_the_operator_take_the_place_of_ours() {
    let lab = Lab::start(0).change(|settings: &mut Settings| {
        let words = [
            "sh",
            "-c",
            "echo \"$0 $HOWDAH_OP_ID $HOWDAH_EPOCH $HOWDAH_NODE\"; exec \"$1\"/pg_ctl stop -D \"$2\" -m \"$3\"",
            "it's {op_id} $(id)",
            "{bin_dir}",
            "{data_dir}",
            "{mode}",
        ];
        settings.stop_command = words.map(str::to_owned).into();
    });
    let (outcome, heard) = lab.carry_out(&lab.executor(ExecutorKind::Exec, 0), vec![Step::Stop(StopMode::Fast)]);

    assert!(!outcome.unwrap().running);
    assert!(said(&heard, "it's op-1 $(id) op-1 1 n0"), "{heard:?}");
}

/// What ssh and the other machine's sshd do together: the words of the remote command, put together, for a shell.
fn stand_in_for_ssh(lab: &Lab) -> PathBuf {
    let file = lab.postgres.folder().join("ssh");
    let account = owner(&lab.node(0).data);
    let user = account.map(|user| format!("setpriv --reuid {user} --regid {user} --clear-groups ")).unwrap_or_default();
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\n[ \"$2\" = db1 ] || {{ echo \"ssh: no $2\" >&2; exit 255; }}\n\
         shift 2\nexec {user}sh -c \"$*\"\n"
    );
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

#[test]
fn commands_through_ssh_do_everything() {
    let lab = Lab::start(1).change(|settings| {
        let folder = Path::new(settings.data_dir.as_deref().unwrap()).parent().unwrap().to_owned();
        settings.ssh_command = vec![text(&folder.join("ssh"))];
        settings.ssh_target = Some("db1".into());
    });
    stand_in_for_ssh(&lab);

    assert_does_everything(&lab, ExecutorKind::Ssh);
}

/// OpenSSH's server for one user, where it is installed.
struct Sshd {
    process: Child,
    /// The client's program and options.
    command: Vec<String>,
    target: String,
}

impl Sshd {
    fn start(lab: &Lab) -> Option<Self> {
        let program = std::env::var("HOWDAH_TEST_SSHD").unwrap_or_else(|_| "/usr/sbin/sshd".into());
        if !Path::new(&program).exists() {
            return None;
        }
        let folder = lab.postgres.folder();
        let path = |name: &str| text(&folder.join(name));
        for key in ["host_key", "client_key"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
            assert!(made.unwrap().success());
        }
        lab.own(&folder.join("host_key"));
        let port = ports::free_port().unwrap();
        let settings = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\n",
            path("host_key"),
            path("client_key.pub")
        );
        fs::write(folder.join("sshd_config"), settings).unwrap();
        let user = owner(&lab.node(0).data);
        let mut command = match &user {
            Some(user) => as_user(user, Path::new(&program)),
            None => Command::new(&program),
        };
        command.args(["-D", "-e", "-f", &path("sshd_config")]).current_dir("/");
        let log = fs::File::create(folder.join("sshd.log")).unwrap();
        let process = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        wait::until(PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).unwrap();
        let known = format!("UserKnownHostsFile={}", path("known_hosts"));
        let (port, key) = (port.to_string(), path("client_key"));
        let words = ["ssh", "-p", &port, "-i", &key, "-o", &known, "-o", "StrictHostKeyChecking=accept-new"];
        let me = String::from_utf8(Command::new("id").arg("-nu").output().unwrap().stdout).unwrap();
        let target = format!("{}@127.0.0.1", user.as_deref().unwrap_or(me.trim()));
        Some(Self { process, command: words.map(str::to_owned).into(), target })
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn the_real_ssh_does_everything_where_its_server_is_installed() {
    let lab = Lab::start(1);
    let Some(sshd) = Sshd::start(&lab) else {
        println!("skipped: there is no sshd; HOWDAH_TEST_SSHD may name one");
        return;
    };
    let (command, target) = (sshd.command.clone(), sshd.target.clone());
    let lab = lab.change(move |settings| {
        settings.ssh_command.clone_from(&command);
        settings.ssh_target = Some(target.clone());
    });

    assert_does_everything(&lab, ExecutorKind::Ssh);
}

#[test]
fn a_machine_that_ssh_does_not_reach_is_named_with_what_ssh_said() {
    let lab = Lab::start(0).change(|settings| {
        let folder = Path::new(settings.data_dir.as_deref().unwrap()).parent().unwrap().to_owned();
        settings.ssh_command = vec![text(&folder.join("ssh"))];
        settings.ssh_target = Some("db2".into());
    });
    stand_in_for_ssh(&lab);

    let error = lab.carry_out(&lab.executor(ExecutorKind::Ssh, 0), vec![Step::Status]).0.unwrap_err();

    assert!(matches!(error, HostError::Unreachable { .. }));
    assert_eq!(error.to_string(), "could not reach db2\n  ssh: no db2");
}

#[test]
fn sql_alone_rewinds_a_zombie_primary() {
    let lab = Lab::start(1);
    lab.promote();
    lab.write_on_old_primary();
    let host = lab.executor(ExecutorKind::SqlProgram, 0);

    let (outcome, heard) = lab.rejoin_with(&host, ExecutorKind::SqlProgram, Order::Rejoin);

    assert_eq!(outcome.unwrap().decision.course, Course::Rewind, "{heard:?}");
    lab.assert_follows();
    let left = fs::read_dir(lab.work_dir(0)).unwrap().map(|entry| entry.unwrap().file_name());
    let scripts: Vec<_> = left.filter(|name| name.to_str().unwrap().ends_with(".sh")).collect();
    assert!(scripts.is_empty(), "no script with passwords stays: {scripts:?}");
}

#[test]
fn sql_alone_stops_nothing_that_it_could_not_start() {
    let lab = Lab::start(0);
    let host = lab.executor(ExecutorKind::SqlProgram, 0);

    let refused = lab.carry_out(&host, vec![Step::Stop(StopMode::Fast)]).0.unwrap_err();

    assert!(matches!(refused, HostError::Unable { .. }), "{refused}");
    assert!(lab.node(0).postmaster().is_some());
    assert!(lab.carry_out(&host, vec![Step::Status]).0.unwrap().running);
}

/// An agent beside a node, and certificates for it and for two proxies.
struct Agent {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Agent {
    fn start(lab: &Lab) -> Self {
        let folder = lab.postgres.folder().join("agent");
        fs::create_dir(&folder).unwrap();
        make_certificates(&folder);
        let port = ports::free_port().unwrap();
        let (data, bin) = (text(&lab.node(0).data), text(&bin_dir(lab.node(0))));
        let settings = format!(
            "listen = \"127.0.0.1:{port}\"\ncert_file = \"agent.pem\"\nkey_file = \"agent.key\"\nca_file = \"ca.pem\"\n\
             allow = [\"proxy\"]\nnode = \"n0\"\ndata_dir = {data:?}\nbin_dir = {bin:?}\n"
        );
        fs::write(folder.join("agent.toml"), settings).unwrap();
        let user = owner(&lab.node(0).data);
        let mut command = match &user {
            Some(user) => {
                Command::new("chown").args(["-R", user]).arg(&folder).status().unwrap();
                as_user(user, &readable_program(&folder))
            }
            None => Command::new(program::howdah()),
        };
        command.args(["agent", "--config"]).arg(folder.join("agent.toml")).current_dir("/");
        let log = fs::File::create(folder.join("log")).unwrap();
        let process = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let agent = Self { process, folder, port };
        let ready = || agent.log().contains("ready for proxies").then_some(());
        wait::until(PATIENCE, ready).unwrap_or_else(|| panic!("{}", agent.log()));
        agent
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn as_user(user: &str, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(program);
    command
}

/// The proxy may have been built where the other user cannot look.
fn readable_program(folder: &Path) -> PathBuf {
    let copy = folder.join("howdah");
    if fs::hard_link(program::howdah(), &copy).is_err() {
        fs::copy(program::howdah(), &copy).unwrap();
    }
    copy
}

fn make_certificates(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "authority");
    fs::write(folder.join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    for (file, subject, name) in [("agent", "agent", "127.0.0.1"), ("proxy", "proxy", "p"), ("mallory", "mallory", "m")]
    {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, subject);
        fs::write(folder.join(format!("{file}.pem")), leaf.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
}

/// Through the agent that listens on the port, with a certificate of the folder.
fn through_agent(lab: &Lab, agent: &Agent, who: &str) -> Executor {
    let mut cluster = lab.cluster(ExecutorKind::Agent);
    let settings = Settings {
        agent_address: Some(format!("127.0.0.1:{}", agent.port)),
        agent_cert_file: Some(agent.folder.join(format!("{who}.pem"))),
        agent_key_file: Some(agent.folder.join(format!("{who}.key"))),
        agent_ca_file: Some(agent.folder.join("ca.pem")),
        ..(*cluster.nodes[0].executor).clone()
    };
    cluster.nodes[0].executor = settings.into();
    Executor::of(&cluster, &cluster.nodes[0], &lab.login, Duration::from_secs(5)).unwrap()
}

#[test]
fn an_agent_does_everything_for_whom_it_knows() {
    let lab = Lab::start(1);
    let agent = Agent::start(&lab);
    let host = through_agent(&lab, &agent, "proxy");
    lab.promote();
    lab.write_on_old_primary();

    let (outcome, heard) = lab.rejoin_with(&host, ExecutorKind::Agent, Order::Rejoin);
    assert_eq!(outcome.unwrap().decision.course, Course::Rewind, "{heard:?}\n{}", agent.log());
    lab.assert_follows();
    let (outcome, heard) = lab.rejoin_with(&host, ExecutorKind::Agent, Order::Reinit);
    assert_eq!(outcome.unwrap().decision.course, Course::Rebuild, "{heard:?}\n{}", agent.log());
    lab.assert_follows();
    assert!(agent.log().contains("op-1"), "{}", agent.log());
}

#[test]
fn an_agent_does_nothing_for_whom_it_does_not_know_or_for_what_is_no_job() {
    let lab = Lab::start(0);
    let agent = Agent::start(&lab);

    let mallory = through_agent(&lab, &agent, "mallory");
    assert!(lab.carry_out(&mallory, vec![Step::Stop(StopMode::Fast)]).0.is_err());
    let refused = || agent.log().contains("\"mallory\" is not in `allow`").then_some(());
    assert!(wait::until(PATIENCE, refused).is_some(), "{}", agent.log());

    let proxy = through_agent(&lab, &agent, "proxy");
    let source =
        Source { host: "h\nx".into(), port: 1, user: "u".into(), database: "d".into(), password: None, sslmode: None };
    let upstream = Upstream { source, name: "n0".into(), slot: None, others: Vec::new() };
    let job = Job { op: "op-1".into(), epoch: 1, steps: vec![Step::Follow(upstream)], limit: PATIENCE };
    let refused = block_on(howdah::control::host::Host::carry_out(&proxy, &job, &mut |_: &str| {})).unwrap_err();
    assert!(matches!(refused, HostError::Unfit(_)), "{refused}");

    assert!(lab.node(0).postmaster().is_some(), "nothing was stopped");
}
