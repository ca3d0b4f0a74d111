//! Through few servers that many sessions share, the answers are those of direct connections.
//!
//! Sessions are made up from seeds ([`generate`], [`kinds`]) and run twice at once, on direct connections and
//! through the proxy ([`run`]); every answer is compared message by message, apart from process numbers, keys
//! and the numbers of what users make ([`normal`]). A case that shows a difference is made small ([`shrink`])
//! and [`kept`].
//!
//! - `HOWDAH_TEST_LONG=1` asks 50,000 requests.
//! - `HOWDAH_TEST_SEED=n` begins with another seed, and says what it was.
//! - `HOWDAH_TEST_KINDS=settings,copy` asks only requests of these [kinds](kinds::KINDS), without startup
//!   parameters unless `startup` is among them.
//! - `HOWDAH_TEST_DIFFERENCES=n` goes on until so many differences of different causes have been found.

mod bed;
mod case;
mod difference;
mod generate;
mod kept;
mod kinds;
mod normal;
mod peer;
mod run;
mod schedule;
mod script;
mod sent;
mod show;
mod shrink;
mod until;

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use howdah_tests::shared_cluster;

use self::{
    bed::{Bed, start_proxy},
    case::{Case, Mode, ProxyKind},
    difference::Difference,
    generate::Choice,
    run::run,
    shrink::shrink,
};

/// Requests of a run, and of a long one.
const REQUESTS: usize = 4_500;
const REQUESTS_LONG: usize = 50_000;

/// Requests that direct connections are compared with direct ones by.
const REQUESTS_DIRECT: usize = 1_500;

/// The first seed, unless another is asked for.
const SEED: u64 = 1;

/// Differences after which a run ends, unless more are asked for: shrinking takes time.
const DIFFERENCES: usize = 4;

/// Sequences are for the pool with most servers.
const SERVERS_FOR_SEQUENCES: usize = 4;

/// The proxies in between, with shares of the requests.
const PROXIES: [(ProxyKind, usize); 6] = [
    (proxy(Mode::Transaction, 2, true, 200), 30),
    (proxy(Mode::Transaction, 4, true, 3), 25),
    (proxy(Mode::Transaction, 3, true, 5), 15),
    (proxy(Mode::Transaction, 2, false, 200), 15),
    (proxy(Mode::Session, 3, false, 200), 5),
    (proxy(Mode::Session, 2, true, 200), 10),
];

const fn proxy(mode: Mode, servers: usize, policy: bool, statements: usize) -> ProxyKind {
    ProxyKind { mode, servers, policy, statements }
}

#[test]
fn answers_are_those_of_direct_connections() {
    let total = if env::var_os("HOWDAH_TEST_LONG").is_some() { REQUESTS_LONG } else { REQUESTS };
    let mut findings = Findings::default();
    for (kind, share) in PROXIES {
        if findings.are_enough() {
            break;
        }
        let started = start_proxy(shared_cluster(), kind);
        let mut bed = Bed::with_proxy(shared_cluster(), &started);
        findings.look_for(&mut bed, kind, total * share / 100);
    }
    findings.conclude();
}

#[test]
fn two_direct_connections_never_differ() {
    let mut bed = Bed::without_proxy(shared_cluster());
    let mut findings = Findings { keeps: false, ..Findings::default() };
    for (kind, share) in PROXIES {
        findings.look_for(&mut bed, kind, REQUESTS_DIRECT * share / 100);
    }
    findings.conclude();
}

#[test]
fn a_difference_is_found_and_made_small() {
    let mut bed = Bed::without_proxy(shared_cluster());
    // Notices do not reach one side.
    bed.flaw = vec![("client_min_messages", "warning")];
    let case = generate::case(SEED, PROXIES[0].0, &Choice::of("data,transactions,prepared"));

    let difference = run(&mut bed, &case).unwrap_err();
    let shrunk = shrink(&mut bed, case, difference);

    assert!(shrunk.is_repeatable);
    assert!(shrunk.case.requests.len() <= 2, "{}", shrunk.case.to_text());
}

/// What a run has found, and how much it has asked.
struct Findings {
    /// Whether cases that show a difference are written to files.
    keeps: bool,
    /// By gist: how often, and what the first was.
    differences: BTreeMap<String, (usize, String)>,
    requests: usize,
    time: Duration,
}

impl Default for Findings {
    fn default() -> Self {
        Self { keeps: true, differences: BTreeMap::new(), requests: 0, time: Duration::ZERO }
    }
}

impl Findings {
    /// Runs cases of one seed after the other until so many requests have been asked.
    fn look_for(&mut self, bed: &mut Bed, kind: ProxyKind, requests: usize) {
        let mut choice = Choice::of(&env::var("HOWDAH_TEST_KINDS").unwrap_or_default());
        // In one kind of pool only, because they bind all of its sessions to servers.
        if kind.mode == Mode::Transaction && kind.servers < SERVERS_FOR_SEQUENCES {
            choice = choice.without_sequences();
        }
        if choice.is_empty() {
            return;
        }
        let (first, until) = (seed(), self.requests + requests);
        for seed in first.. {
            if self.requests >= until || self.are_enough() {
                break;
            }
            let case = generate::case(seed, kind, &choice);
            if let Err(difference) = self.run(bed, &case) {
                self.note(bed, seed, case, difference);
            }
        }
    }

    fn run(&mut self, bed: &mut Bed, case: &Case) -> Result<(), Box<Difference>> {
        let begun = Instant::now();
        let outcome = run(bed, case);
        self.time += begun.elapsed();
        self.requests += outcome.as_ref().map_or_else(|difference| difference.number, |()| case.requests.len());
        outcome
    }

    fn note(&mut self, bed: &mut Bed, seed: u64, case: Case, difference: Box<Difference>) {
        let gist = difference.gist();
        if let Some((count, _)) = self.differences.get_mut(&gist) {
            *count += 1;
            return;
        }
        let proxy = case.stage.proxy;
        println!("seed {seed}, {proxy:?}: {difference}");
        let mut shrunk = shrink(bed, case, difference);
        shrunk.case.stage.why.clone_from(&gist);
        let mut story = format!("seed {seed}, {proxy:?}: {}", shrunk.difference);
        if !shrunk.is_repeatable {
            story += "  (it did not happen again)\n";
        }
        if self.keeps {
            story += &format!("  kept as {}\n", kept::keep(&shrunk.case).display());
        }
        println!("{story}\n{}", shrunk.case.to_text());
        self.differences.insert(gist, (1, story));
    }

    fn are_enough(&self) -> bool {
        let enough = env::var("HOWDAH_TEST_DIFFERENCES").ok().and_then(|number| number.parse().ok());
        self.differences.len() >= enough.unwrap_or(DIFFERENCES)
    }

    fn conclude(self) {
        let rate = self.requests as f64 / self.time.as_secs_f64();
        println!("{} requests on both sides, {rate:.0} a second", self.requests);
        let stories: Vec<_> =
            self.differences.values().map(|(count, story)| format!("{count} times: {story}")).collect();
        assert!(stories.is_empty(), "{} differences:\n\n{}", stories.len(), stories.join("\n"));
    }
}

fn seed() -> u64 {
    env::var("HOWDAH_TEST_SEED").map_or(SEED, |text| text.parse().expect("HOWDAH_TEST_SEED is a number"))
}
