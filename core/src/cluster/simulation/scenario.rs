//! What happens in a run, and what must be true of it.

use std::{collections::HashSet, time::Duration};

use super::{
    super::{
        action::Order,
        name::Name,
        settings::{FailoverMode, NodeSettings, RejoinMode, Settings, SyncMode},
        state::State,
    },
    dice::Dice,
    steward::Steward,
    world::{Power, World},
};

const NAMES: [&str; 4] = ["n1", "n2", "n3", "n4"];

/// One step of time, in milliseconds.
const STEP: u64 = 20;

/// When everything is healed.
const HEALED_AT: u64 = 14_000;
/// From when on it is looked whether it has settled, and when it must have.
const LOOKED_AT: u64 = 20_000;
const SETTLED_AT: u64 = 60_000;

#[derive(Clone, Debug)]
pub struct Fault {
    at: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// kill -9, and somebody starts it again, or not.
    Crash(usize, Option<u64>),
    /// A fast restart that takes that long.
    Restart(usize, u64),
    /// A backend was killed: all sessions end, and it recovers for that long.
    Backend(usize, u64),
    Hang(usize, u64),
    /// Neither hears the other. The proxy is behind the last node.
    Cut(usize, usize, u64),
    /// A link that carries little.
    Slow(usize, usize),
    KillProxy,
    StopProxy(u64),
    DiskFull(u64),
    Order(Order),
    /// Somebody promotes a standby behind our back.
    Rogue(usize),
}

impl Fault {
    pub fn crash(at: u64, node: usize, restart: Option<u64>) -> Self {
        Self { at, what: What::Crash(node, restart) }
    }

    fn order(at: u64, order: Order) -> Self {
        Self { at, what: What::Order(order) }
    }
}

#[derive(Clone, Debug)]
pub struct Scenario {
    seed: u64,
    nodes: usize,
    sync: SyncMode,
    double: bool,
    controlled: bool,
    /// The primary is armed, if it is controlled.
    armed: bool,
    rough: bool,
    drain_fails: bool,
    faults: Vec<Fault>,
    die_at: Option<usize>,
    /// No promotion may come of it.
    benign: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct End {
    pub promotions: usize,
    pub actions: usize,
    pub longest_pause: Duration,
}

/// What went wrong, and how it came to that.
#[derive(Debug)]
pub struct Failure {
    pub violations: Vec<String>,
    pub story: Vec<String>,
}

impl Scenario {
    pub fn calm() -> Self {
        Self {
            seed: 1,
            nodes: 3,
            sync: SyncMode::On,
            double: false,
            controlled: true,
            armed: false,
            rough: false,
            drain_fails: false,
            faults: Vec::new(),
            die_at: None,
            benign: false,
        }
    }

    pub fn with(self, faults: Vec<Fault>) -> Self {
        Self { faults, ..self }
    }

    pub fn die_at(self, action: usize) -> Self {
        Self { die_at: Some(action), ..self }
    }

    pub fn plain() -> Vec<Self> {
        let mut all = Vec::new();
        for sync in [SyncMode::Off, SyncMode::On] {
            let switchover = Order::Switchover { to: Some(Name::from("n3")) };
            let forced = Order::Failover { to: None, allow_loss: true };
            for faults in [
                vec![Fault::crash(3_000, 0, None)],
                vec![Fault::crash(3_000, 0, Some(1_000))],
                vec![Fault { at: 3_000, what: What::Hang(0, 5_000) }],
                vec![Fault::order(3_000, switchover)],
                vec![Fault::order(3_000, forced)],
                vec![Fault::crash(3_000, 1, Some(4_000))],
                vec![Fault::crash(3_000, 0, Some(5_000)), Fault::crash(3_100, 1, Some(2_000))],
            ] {
                all.push(Self { sync, faults, ..Self::calm() });
            }
        }
        all
    }

    /// Everything at once.
    pub fn of_seed(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let nodes = 2 + dice.place(3);
        let sync = [SyncMode::Off, SyncMode::On, SyncMode::On, SyncMode::Strict][dice.place(4)];
        let count = 1 + dice.place(5);
        let mut faults: Vec<Fault> = (0..count)
            .map(|_| Fault { at: dice.between(1_500, HEALED_AT - 2_000), what: any_fault(&mut dice, nodes) })
            .collect();
        faults.sort_by_key(|fault| fault.at);
        Self {
            seed,
            nodes,
            sync,
            double: dice.chance(30),
            controlled: dice.chance(70),
            rough: dice.chance(70),
            drain_fails: dice.chance(10),
            faults,
            die_at: dice.chance(20).then(|| dice.place(80) + 1),
            benign: false,
            armed: dice.chance(30),
        }
    }

    /// What is not a death.
    pub fn benign(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let nodes = 2 + dice.place(3);
        let what = match dice.place(5) {
            0 => What::Hang(0, dice.between(100, 700)),
            1 => What::Backend(0, dice.between(100, 1_500)),
            2 => What::Restart(0, dice.between(100, 1_500)),
            3 => What::StopProxy(dice.between(500, 6_000)),
            _ => What::Crash(1, Some(dice.between(500, 3_000))),
        };
        let faults = vec![Fault { at: dice.between(2_000, 3_000), what }];
        Self { seed, nodes, faults, benign: true, sync: [SyncMode::Off, SyncMode::On][dice.place(2)], ..Self::calm() }
    }

    fn settings(&self) -> Settings {
        let node = |name: &&'static str| NodeSettings {
            name: Name::from(*name),
            controlled: self.controlled,
            candidate: true,
            sync: true,
            slot: None,
        };
        Settings {
            failover: FailoverMode::Policy,
            sync: self.sync,
            rejoin: RejoinMode::Repair,
            nodes: NAMES[..self.nodes].iter().map(node).collect(),
            crash_grace: Duration::from_secs(2),
            hang_timeout: Duration::from_secs(1),
            failover_interval: Duration::from_secs(3),
            max_loss_bytes: if self.double { 2 } else { 1_000 },
            drain_timeout: Duration::from_secs(1),
            fence_timeout: Duration::from_secs(2),
            sync_stall_timeout: Duration::from_millis(800),
            sync_restore_after: Duration::from_secs(1),
            max_lag_bytes: 30,
            quarantine_proof: Duration::from_secs(1),
            armed_primary: self.armed,
        }
    }
}

fn any_fault(dice: &mut Dice, nodes: usize) -> What {
    // The first is the primary, more often than not.
    let node = if dice.chance(60) { 0 } else { dice.place(nodes) };
    let name = Name::from(NAMES[dice.place(nodes)]);
    match dice.place(20) {
        0..=4 => What::Crash(node, dice.chance(70).then(|| dice.between(50, 5_000))),
        5 => What::Restart(node, dice.between(50, 4_000)),
        6 => What::Backend(node, dice.between(50, 4_000)),
        7..=9 => What::Hang(node, dice.between(100, 6_000)),
        10 | 11 => What::Cut(node, dice.place(nodes + 1), dice.between(200, 6_000)),
        12 => What::Cut(node, nodes, dice.between(200, 6_000)),
        13 => What::Slow(node, dice.place(3)),
        14 => What::KillProxy,
        15 => What::StopProxy(dice.between(200, 4_000)),
        16 => What::DiskFull(dice.between(200, 3_000)),
        17 => What::Order(Order::Switchover { to: dice.chance(70).then_some(name) }),
        18 => What::Order(Order::Failover { to: dice.chance(50).then_some(name), allow_loss: false }),
        _ => match dice.place(4) {
            0 => What::Order(Order::Pause),
            1 => What::Order(Order::Rejoin { node: name }),
            2 => What::Rogue(node),
            _ => What::Order(Order::Reinit { node: name }),
        },
    }
}

/// Runs a scenario to its end.
pub fn run(scenario: &Scenario, with_story: bool) -> Result<End, Failure> {
    let mut world = World::new(&NAMES[..scenario.nodes]);
    let mut steward = Steward::new(&world, scenario.settings(), Dice::new(scenario.seed ^ 0x5eed));
    steward.story = with_story.then(Vec::new);
    steward.die_at = scenario.die_at;
    (steward.smooth, steward.sane) = (!scenario.rough, !scenario.rough);
    steward.drain_fails = scenario.drain_fails;
    world.check_acks = scenario.sync != SyncMode::Off;
    let mut faults = scenario.faults.iter().peekable();
    let mut dice = Dice::new(scenario.seed ^ 0xc11e);
    let mut longest_pause = 0;
    while world.now < SETTLED_AT && world.violations.is_empty() {
        world.pass(STEP);
        while let Some(fault) = faults.next_if(|fault| fault.at <= world.now) {
            steward.tell(&world, || format!("fault: {:?}", fault.what));
            inject(&mut world, &mut steward, &fault.what);
        }
        if world.now == HEALED_AT {
            heal(&mut world, &mut steward);
        }
        steward.pass(&mut world);
        write(&mut world, &steward, &mut dice);
        if world.now >= LOOKED_AT && world.now.is_multiple_of(2_000) && judge(scenario, &world, &steward).is_empty() {
            break;
        }
        if world.now > 2_000 && world.now < HEALED_AT {
            longest_pause = longest_pause.max(world.now - world.last_ack);
        }
    }
    if world.violations.is_empty() {
        world.violations = judge(scenario, &world, &steward);
    }
    if world.violations.is_empty() {
        return Ok(End {
            promotions: steward.promotions,
            actions: steward.actions,
            longest_pause: Duration::from_millis(longest_pause),
        });
    }
    let mut story = steward.story.take().unwrap_or_default();
    story.extend(world.nodes.iter().map(|node| {
        let tail = &node.log[node.log.len().saturating_sub(5)..];
        let Power::Running = node.power else { return format!("{}: {:?}", node.name, node.power) };
        format!(
            "{}: primary={} timeline={} history={:?} upstream={:?} streaming={} sync={:?} log={}…{tail:?}",
            node.name,
            node.primary,
            node.timeline,
            node.history,
            node.upstream,
            node.streaming,
            node.sync,
            node.log.len()
        )
    }));
    story.push(format!("{:#?}", steward.machine.standing()));
    Err(Failure { violations: world.violations, story })
}

fn inject(world: &mut World, steward: &mut Steward, what: &What) {
    let now = world.now;
    match what {
        What::Crash(node, restart) => {
            world.crash(*node);
            world.nodes[*node].restart_at = restart.map(|after| now + after);
        }
        What::Restart(node, after) => {
            if world.stop(*node) {
                world.nodes[*node].restart_at = Some(now + after);
            }
        }
        What::Backend(node, after) if world.running(*node) => {
            world.nodes[*node].power = Power::Recovering(now + after);
            world.nodes[*node].streaming = false;
        }
        What::Hang(node, time) if world.running(*node) => {
            world.nodes[*node].power = Power::Hung;
            world.nodes[*node].restart_at = Some(now + time);
        }
        What::Backend(..) | What::Hang(..) => {}
        What::Cut(a, b, time) => world.cut(*a, *b, now + time),
        What::Slow(node, pace) => world.nodes[*node].pace = *pace,
        What::KillProxy => steward.restart(world),
        What::StopProxy(time) => steward.stopped_until = now + time,
        What::DiskFull(time) => steward.disk_fails_until = now + time,
        What::Order(order) => {
            if now >= steward.stopped_until {
                steward.order(world, order.clone());
            }
        }
        What::Rogue(node) => {
            if world.running(*node) && !world.nodes[*node].primary {
                world.promote(*node);
                world.nodes[*node].rogue = true;
                // What others do is not ours to answer for.
                world.check_acks = false;
            }
        }
    }
}

/// Everything works again: whoever hangs goes on, whoever is down is started as it is.
fn heal(world: &mut World, steward: &mut Steward) {
    steward.tell(world, || "healed".into());
    world.heal_links();
    for place in 0..world.nodes.len() {
        let node = &mut world.nodes[place];
        node.pace = usize::MAX;
        if node.power == Power::Hung {
            node.power = Power::Running;
            node.restart_at = None;
        }
        if node.power == Power::Down {
            node.restart_at = Some(world.now);
        }
    }
    steward.stopped_until = 0;
    steward.disk_fails_until = 0;
    steward.die_at = None;
    steward.drain_fails = false;
    steward.sane = true;
    steward.smooth = true;
    steward.order(world, Order::Resume);
}

/// Clients: those that come through the proxy go where it says, some go directly to whatever takes writes.
fn write(world: &mut World, steward: &Steward, dice: &mut Dice) {
    for place in 0..world.nodes.len() {
        let node = &world.nodes[place];
        if node.power == Power::Hung && node.restart_at.is_some_and(|at| at <= world.now) {
            world.nodes[place].power = Power::Running;
            world.nodes[place].restart_at = None;
        }
    }
    if dice.chance(40) && world.now >= steward.stopped_until && !steward.holding {
        let primary = steward.route.as_ref().and_then(|route| route.primary.clone());
        let place = primary.and_then(|primary| world.nodes.iter().position(|node| primary == *node.name));
        if let Some(place) = place.filter(|place| world.linked(world.proxy(), *place)) {
            world.write(place);
        }
    }
    // With commits that wait for nobody, only clients that come through the proxy are fenced.
    if world.check_acks && dice.chance(20) {
        let place = dice.place(world.nodes.len());
        if !world.nodes[place].rogue {
            world.write(place);
        }
    }
}

/// What must be true in the end.
fn judge(scenario: &Scenario, world: &World, steward: &Steward) -> Vec<String> {
    let mut violations = Vec::new();
    let standing = steward.machine.standing();
    let primary =
        standing.route.primary.as_deref().and_then(|name| world.nodes.iter().position(|node| node.name == name));
    let Some(primary) = primary else {
        return vec!["I7: there is no primary".into()];
    };
    let nodes = &world.nodes;
    let rogue = scenario.faults.iter().any(|fault| matches!(fault.what, What::Rogue(_)));
    if scenario.sync != SyncMode::Off && !rogue {
        let kept: HashSet<u32> = nodes[primary].log.iter().copied().collect();
        let lost = world.acked.iter().filter(|(id, _)| !kept.contains(id)).count();
        if lost > 0 {
            violations.push(format!("I2: {lost} acknowledged commits are lost"));
        }
    }
    if scenario.benign && steward.promotions > 0 {
        violations.push("I8: a failover for nothing".into());
    }
    let rested = matches!(standing.state, State::Steady | State::DegradedSync);
    if !rested && !rogue {
        violations.push(format!("I7: {:?}: {}", standing.state, standing.why));
    }
    let standbys = || nodes.iter().enumerate().filter(|(place, node)| *place != primary && node.streaming);
    // Directly, or through another.
    let others = standbys().filter(|(place, _)| !world.diverged(*place, primary)).count();
    let direct = standbys().filter(|(_, node)| node.upstream == Some(primary)).count();
    let writes = world.last_ack + 3_000 > world.now || scenario.sync == SyncMode::Strict && direct == 0;
    if !writes && !rogue {
        violations.push(format!("I7: no write since {} ms", world.last_ack));
    }
    if scenario.controlled && !rogue && (others + 1 < nodes.len() || standing.state != State::Steady) {
        violations.push(format!("I7: {others} standbys follow, {:?}", standing.state));
    }
    violations
}
