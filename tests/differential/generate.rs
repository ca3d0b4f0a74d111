//! Makes cases out of seeds: sessions with a taste each, their requests shuffled into one row.

use howdah_tests::random::Random;

use super::{
    case::{Case, ProxyKind, Stage},
    kinds::{KINDS, Kind},
    script::Script,
};

/// Sessions of a case.
const SESSIONS: (usize, usize) = (6, 14);

/// Requests of a session; it may have a few more, to end what it began.
const REQUESTS: (usize, usize) = (15, 45);

/// Kinds that a session has a taste for. Few, so that what they do to each other is done often.
const TASTES: (usize, usize) = (2, 6);

/// Requests of one session in a row.
const ROW_MAX: usize = 4;

/// Superuser, and one who may do little.
const USERS: [&str; 2] = ["postgres", "howdah_writer"];

/// Startup parameters and values that sessions may begin with.
const PARAMETERS: [(&str, &[&str]); 8] = [
    ("TimeZone", &["UTC", "Asia/Tokyo", "America/Lima", "<+03>-3"]),
    ("DateStyle", &["ISO, DMY", "German", "sql,mdy"]),
    ("application_name", &["", "an application", "ünï"]),
    ("client_encoding", &["UTF8", "latin1"]),
    ("extra_float_digits", &["3", "0"]),
    ("app.user", &["startup"]),
    ("options", &["-c work_mem=2MB", "--statement_timeout=1h -c app.tenant=7", "-c IntervalStyle=iso_8601"]),
    ("default_transaction_isolation", &["serializable", "repeatable read"]),
];

/// What cases are made of.
#[derive(Clone)]
pub struct Choice {
    kinds: Vec<&'static Kind>,
    /// Whether sessions have startup parameters.
    startup: bool,
    /// Whether sessions ask what a sequence answered. From then on, whoever may have moved one keeps its server.
    sequences: bool,
}

impl Choice {
    /// The kinds with these names, separated by commas, `startup` for startup parameters; all when there is none.
    pub fn of(names: &str) -> Self {
        let has = |wanted: &str| names.is_empty() || names.split(',').any(|name| name == wanted);
        let kinds: Vec<_> = KINDS.iter().filter(|kind| has(kind.name)).collect();
        assert!(!kinds.is_empty(), "no kind of request is called {names}");
        Self { kinds, startup: has("startup"), sequences: true }
    }

    /// There is nothing to choose from.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The same, where nobody asks what a sequence answered.
    pub fn without_sequences(mut self) -> Self {
        self.kinds.retain(|kind| kind.name != "sequences");
        self.sequences = false;
        self
    }
}

/// The case of a seed, with requests of these kinds.
pub fn case(seed: u64, proxy: ProxyKind, choice: &Choice) -> Case {
    let mut random = Random::new(seed);
    let sessions = random.between(SESSIONS.0, SESSIONS.1);
    let stage = Stage {
        why: String::new(),
        proxy,
        user: (*random.pick(&USERS)).into(),
        at_once: random.between(1, 6),
        sessions: (0..sessions).map(|_| if choice.startup { parameters(&mut random) } else { Vec::new() }).collect(),
    };
    let scripts = (0..sessions).map(|session| {
        let count = random.between(TASTES.0, TASTES.1);
        let tastes: Vec<_> = (0..count).map(|_| *random.pick(&choice.kinds)).collect();
        let length = random.between(REQUESTS.0, REQUESTS.1);
        let mut script = Script::new(&mut random, session, tastes, choice.sequences);
        script.write(length);
        script.into_requests()
    });
    let scripts: Vec<_> = scripts.collect();
    Case { stage, requests: shuffle(&mut random, scripts) }
}

fn parameters(random: &mut Random) -> Vec<(String, String)> {
    let mut chosen = Vec::new();
    for (name, values) in PARAMETERS {
        if random.chance(12) {
            chosen.push((name.to_owned(), (*random.pick(values)).to_owned()));
        }
    }
    chosen
}

/// One row of all sessions' requests; each session's keep their order.
fn shuffle<T>(random: &mut Random, scripts: Vec<Vec<T>>) -> Vec<T> {
    let mut scripts: Vec<_> = scripts.into_iter().map(Vec::into_iter).collect();
    let mut row = Vec::new();
    while !scripts.is_empty() {
        let at = random.below(scripts.len());
        let count = random.between(1, ROW_MAX);
        row.extend(scripts[at].by_ref().take(count));
        if scripts[at].len() == 0 {
            scripts.swap_remove(at);
        }
    }
    row
}

#[test]
fn a_seed_makes_the_same_case_again() {
    let proxy = ProxyKind { mode: super::case::Mode::Transaction, servers: 2, policy: false, statements: 200 };
    let all = Choice::of("");

    assert_eq!(case(7, proxy, &all), case(7, proxy, &all));
    assert_ne!(case(7, proxy, &all), case(8, proxy, &all));
    assert_eq!(shuffle(&mut Random::new(1), vec![vec![1, 2], vec![], vec![3]]).len(), 3);
}
