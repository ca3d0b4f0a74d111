//! Every state, every event: what comes of it, kept as a text.

use std::{fmt::Write, time::Duration};

use super::{
    super::super::{
        action::{Event, Order},
        settings::{FailoverMode, SyncMode},
        sight::{Door, Held},
        state::State,
        verdict::Verdict,
        view::Role,
    },
    lab::{Lab, any, settings},
};

/// A cluster in that state; effects that would lead out of it do not end.
fn reach(state: State) -> Lab {
    let with = |stuck: &[(&'static str, &'static str)]| {
        let mut lab = Lab::at_work(settings(SyncMode::On));
        lab.stuck = stuck.to_vec();
        lab
    };
    let killed = |stuck: &[(&'static str, &'static str)]| {
        let mut lab = with(stuck);
        lab.kill("n1");
        lab
    };
    let mut lab = match state {
        State::Learning => Lab::with(settings(SyncMode::On), None),
        State::Steady => with(&[]),
        State::DegradedSync => {
            let mut lab = with(&[]);
            lab.wanted = None;
            lab.pass(2_000);
            lab
        }
        State::Paused => {
            let mut off = settings(SyncMode::On);
            off.failover = FailoverMode::Off;
            Lab::at_work(off)
        }
        State::Suspect => {
            let mut lab = with(&[]);
            lab.hang("n1");
            lab.look();
            lab
        }
        State::CrashGrace => {
            let mut lab = with(&[]);
            lab.node("n1").held = Held::Crashed(Duration::ZERO);
            lab.node("n1").door = Door::NotReady("in recovery".into());
            lab.look();
            lab
        }
        State::Confirm => {
            let mut lab = with(&[]);
            lab.verdict = Verdict::Hold("not now".into());
            lab.kill("n1");
            lab
        }
        State::Fence => killed(&[("detach", "n2")]),
        State::Elect => {
            let mut lab = with(&[]);
            lab.mute_elections = true;
            lab.kill("n1");
            lab
        }
        State::FastForward => {
            let mut lab = with(&[("fast-forward", "n2")]);
            lab.node("n2").viewed.received = Some(crate::id::Lsn(90));
            lab.kill("n1");
            lab
        }
        State::NoPrimarySafe => {
            let mut lab = with(&[]);
            lab.kill("n3");
            lab.kill("n1");
            lab.pass(1_000);
            lab
        }
        State::Switchover => {
            let mut lab = with(&[("drain", "n1")]);
            lab.order(Order::Switchover { to: Some("n2".into()) });
            lab
        }
        State::Promote => killed(&[("promote", "n2")]),
        State::Publish => killed(&[("record-fork", "n2")]),
        State::Repair => killed(&[("repoint", "n3")]),
        State::Undo => {
            let mut lab = killed(&[("detach", "n2"), ("reattach", "n3")]);
            lab.wake("n1");
            lab.pass(100);
            lab
        }
        State::Split => {
            let mut lab = with(&[]);
            promote_behind_our_back(&mut lab);
            lab
        }
        State::CoordLost => {
            let mut lab = with(&[]);
            lab.take(Event::LogLost("disk full".into()));
            lab
        }
    };
    assert_eq!(lab.state(), state);
    lab.done.clear();
    lab.answers.clear();
    lab
}

fn promote_behind_our_back(lab: &mut Lab) {
    let node = lab.node("n3");
    (node.viewed.role, node.viewed.timeline, node.receiver) = (Role::Primary, Some(2), None);
    lab.look();
}

/// What can happen, in a word, and how.
type Happening = (&'static str, fn(&mut Lab));

fn events() -> Vec<Happening> {
    vec![
        ("tick", |lab| lab.take(Event::Tick)),
        ("all well", |lab| {
            lab.wake("n1");
            lab.pass(100);
        }),
        ("n1 killed", |lab| lab.kill("n1")),
        ("n1 hangs", |lab| {
            lab.hang("n1");
            lab.standbys_heard(Duration::from_secs(9));
            lab.pass(2_100);
        }),
        ("n1 recovering", |lab| {
            lab.node("n1").held = Held::Crashed(Duration::ZERO);
            lab.node("n1").door = Door::NotReady("in recovery".into());
            lab.look();
        }),
        ("n1 in recovery", |lab| {
            lab.wake("n1");
            lab.node("n1").viewed.role = Role::Standby;
            lab.pass(100);
        }),
        ("n2 killed", |lab| {
            lab.kill("n2");
            lab.pass(100);
        }),
        ("n3 promoted by others", promote_behind_our_back),
        ("log lost", |lab| lab.take(Event::LogLost("disk full".into()))),
        ("log back", |lab| lab.take(Event::LogBack)),
        ("pause", |lab| lab.order(Order::Pause)),
        ("resume", |lab| lab.order(Order::Resume)),
        ("switchover", |lab| lab.order(Order::Switchover { to: None })),
        ("failover", |lab| lab.order(Order::Failover { to: None, allow_loss: false })),
        ("failover, loss allowed", |lab| lab.order(Order::Failover { to: None, allow_loss: true })),
        ("rejoin n3", |lab| lab.order(Order::Rejoin { node: "n3".into() })),
        ("reinit n3", |lab| lab.order(Order::Reinit { node: "n3".into() })),
        ("detach n2", |lab| lab.order(Order::Detach { node: "n2".into() })),
        ("attach n2", |lab| lab.order(Order::Attach { node: "n2".into() })),
        ("reconfigured", |lab| {
            let settings = lab.settings.clone();
            lab.take(Event::Reconfigured(settings));
        }),
        ("killed and started again", |lab| lab.restart()),
    ]
}

#[test]
fn every_state_takes_every_event() {
    let mut text = String::from("What comes of each event in each state: the state, effects and answers.\n");
    for state in State::ALL {
        _ = writeln!(text, "\n{}", state.word());
        for (word, happen) in events() {
            let mut lab = reach(state);
            lab.wanted = lab.wanted.or(any(&["n2", "n3"]));
            happen(&mut lab);
            let answers = lab.answers.iter().map(|answer| match answer {
                Ok(words) => format!("\"{words}\""),
                Err(refusal) => format!("refused: {refusal}"),
            });
            let came: Vec<String> = lab.done.iter().cloned().chain(answers).collect();
            _ = writeln!(text, "    {word:<25} {:<16} {}", lab.state().word(), came.join(", "));
        }
    }
    let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cluster/machine/tests/every.txt");
    if std::env::var_os("HOWDAH_BLESS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "every.txt is not what happens: run with HOWDAH_BLESS=1 and look at what differs");
}
