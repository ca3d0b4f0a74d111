//! Two hundred sessions that set, prepare, make and lock things of the same names share four servers, and none
//! ever sees another's.
//!
//! Each session knows what it has, and asks again and again whether that is so. What binds a session to its
//! server it lets go of soon, or the others would never get one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use howdah_tests::{
    Proxy, fresh_database, load_time,
    random::Random,
    raw::{Heard, Message, Raw, bind, close, execute, parse, query, sync, terminate},
    shared_cluster,
};

const SESSIONS: usize = 200;
const SERVERS: usize = 4;

/// Longest wait for an answer: a session waits for its turn behind all others.
const PATIENCE: Duration = Duration::from_secs(15);

/// Advisory locks that everybody wants.
const LOCKS: usize = 3;

const ZONES: [&str; 4] = ["Asia/Tokyo", "America/Lima", "Europe/Oslo", "UTC"];
const ROLES: [&str; 3] = ["pg_monitor", "pg_read_all_settings", "pg_signal_backend"];

#[test]
fn no_session_ever_sees_another_ones_state() {
    let database = fresh_database();
    let primary = shared_cluster().primary().client().database(&database);
    primary.ask("CREATE SEQUENCE shared; CREATE TABLE rows (owner int)").unwrap();
    let proxy = Proxy::start(shared_cluster(), |config| {
        let config = config.without_router().set("pool_mode", "\"transaction\"").set("workers", "2");
        let config = config.set("max_client_conn", "1000").set("log_connections", "false");
        config.set("default_pool_size", &SERVERS.to_string()).set("query_wait_timeout", "10")
    });
    let scene = Scene {
        port: proxy.port(),
        zone: primary.ask("SHOW TimeZone").unwrap(),
        database,
        until: Instant::now() + load_time(10, 60),
        held: Default::default(),
        asked: AtomicUsize::new(0),
        leaks: Mutex::default(),
    };

    thread::scope(|scope| {
        for number in 0..SESSIONS {
            let scene = &scene;
            scope.spawn(move || live(scene, number));
        }
    });

    let (asked, leaks) = (scene.asked.into_inner(), scene.leaks.into_inner().unwrap());
    println!("{asked} requests of {SESSIONS} sessions over {SERVERS} servers");
    assert!(asked > 10 * SESSIONS, "too little was asked to prove anything");
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// What all sessions share.
struct Scene {
    port: u16,
    database: String,
    /// The time zone of those who set none.
    zone: String,
    until: Instant,
    /// Which locks a session believes to have: never two sessions the same.
    held: [AtomicBool; LOCKS],
    asked: AtomicUsize,
    /// By kind: how many, and what the first was.
    leaks: Mutex<BTreeMap<&'static str, (usize, String)>>,
}

/// Something that is not as the session left it.
struct Leak {
    kind: &'static str,
    seen: String,
}

/// Lives one life after the other; a leak ends a life early.
fn live(scene: &Scene, number: usize) {
    let mut random = Random::new(number as u64);
    while Instant::now() < scene.until {
        let raw = Raw::login(scene.port, &scene.database);
        let mut session = Session { scene, number, raw, random: random.clone(), has: Possessions::default() };
        let lived = session.live();
        session.let_go_of_locks();
        random = session.random;
        random.number();
        let Err(leak) = lived else { continue };
        let mut leaks = scene.leaks.lock().unwrap();
        leaks.entry(leak.kind).or_insert((0, format!("session {number}: {}", leak.seen))).0 += 1;
    }
}

/// A session and what it has.
struct Session<'a> {
    scene: &'a Scene,
    number: usize,
    raw: Raw,
    random: Random,
    has: Possessions,
}

/// What a session has set and made.
#[derive(Default)]
struct Possessions {
    work_mem_kib: Option<usize>,
    owner: bool,
    zone: Option<&'static str>,
    statement: bool,
    sql_statement: bool,
    table: bool,
    cursor: bool,
    locks: BTreeSet<usize>,
    channels: BTreeSet<usize>,
}

impl Session<'_> {
    /// Does this and that, and leaves, sometimes without a word.
    fn live(&mut self) -> Result<(), Leak> {
        let length = self.random.between(5, 60);
        for _ in 0..length {
            if Instant::now() >= self.scene.until {
                break;
            }
            match self.random.below(11) {
                0 | 1 => self.set()?,
                2 => self.prepare()?,
                3 => self.prepare_by_sql()?,
                4 => self.make_table()?,
                5 => self.lock()?,
                6 => self.open_cursor()?,
                7 => self.notify()?,
                8 => self.count()?,
                9 => self.write()?,
                _ => self.play_role()?,
            }
            self.look()?;
        }
        if self.random.chance(30) {
            // Something is left for the proxy to clean up.
            self.must("CREATE TEMP TABLE", "CREATE TEMP TABLE left_over (x int)", "CREATE TABLE")?;
            self.says("SELECT pg_advisory_lock(1000)")?;
        }
        if self.random.chance(50) {
            let _ = self.raw.send(&terminate());
        }
        Ok(())
    }

    /// Everything that can be seen of a session's state, against what it should be.
    fn look(&mut self) -> Result<(), Leak> {
        let number = self.number;
        let has = &self.has;
        let work_mem = has.work_mem_kib.map_or("4MB".into(), |kib| format!("{kib}kB"));
        let owner = if has.owner { number.to_string() } else { String::new() };
        let zone = has.zone.unwrap_or(&self.scene.zone).to_owned();
        for (kind, sql, expected) in [
            ("a setting", "SHOW work_mem", work_mem),
            ("a setting of its own name", "SELECT coalesce(current_setting('app.owner', true), '')", owner),
            ("a reported setting", "SHOW TimeZone", zone),
        ] {
            if self.random.chance(40) {
                self.must(kind, sql, &expected)?;
            }
        }
        let own_table = if self.has.table { number.to_string() } else { "ERROR 42P01".into() };
        self.must("a temporary table", "SELECT owner FROM tmp", &own_table)?;
        if self.random.chance(30) {
            let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
            let count = self.has.locks.len().to_string();
            self.must("a lock", locks, &count)?;
            let cursors = usize::from(self.has.cursor).to_string();
            self.must("a cursor", "SELECT count(*) FROM pg_cursors WHERE name = 'c'", &cursors)?;
            let statements = usize::from(self.has.sql_statement).to_string();
            let sql = "SELECT count(*) FROM pg_prepared_statements WHERE from_sql";
            self.must("an SQL statement", sql, &statements)?;
        }
        Ok(())
    }

    fn set(&mut self) -> Result<(), Leak> {
        match self.random.below(6) {
            0 | 1 => {
                let kib = 64 + self.number;
                self.has.work_mem_kib = Some(kib);
                self.must("SET", &format!("SET work_mem = '{kib}kB'"), "SET")
            }
            2 => {
                self.has.owner = true;
                let sql = format!("SELECT set_config('app.owner', '{}', false)", self.number);
                self.must("set_config", &sql, &self.number.to_string())
            }
            3 => {
                let zone = ZONES[self.number % ZONES.len()];
                self.has.zone = Some(zone);
                self.must("SET", &format!("SET TimeZone = '{zone}'"), "SET")
            }
            4 => {
                (self.has.work_mem_kib, self.has.owner, self.has.zone) = (None, false, None);
                self.must("RESET", "RESET ALL", "RESET")
            }
            _ => {
                self.must("BEGIN", "BEGIN", "BEGIN")?;
                self.must("SET LOCAL", "SET LOCAL work_mem = '1GB'", "SET")?;
                self.must("a local setting", "SHOW work_mem", "1GB")?;
                self.must("ROLLBACK", "ROLLBACK", "ROLLBACK")
            }
        }
    }

    /// The protocol's statements: everybody calls them the same.
    fn prepare(&mut self) -> Result<(), Leak> {
        let own = format!("statement of {}", self.number);
        if !self.has.statement || self.random.chance(30) {
            let text = format!("SELECT '{own}'");
            self.answers(&[close('S', "s"), parse("s", &text), sync()].concat())?;
            self.has.statement = true;
        }
        let said = self.answers(&[bind("s", &[]), execute(), sync()].concat())?;
        self.check("a prepared statement", "execute s", &said, &own)?;
        // The unnamed one, in two requests.
        self.answers(&[parse("", &format!("SELECT 'unnamed of {}'", self.number)), sync()].concat())?;
        let said = self.answers(&[bind("", &[]), execute(), sync()].concat())?;
        self.check("the unnamed statement", "execute", &said, &format!("unnamed of {}", self.number))
    }

    fn prepare_by_sql(&mut self) -> Result<(), Leak> {
        self.must("an SQL statement", "EXECUTE p", "ERROR 26000")?;
        let own = format!("SQL statement of {}", self.number);
        self.must("an SQL statement", &format!("PREPARE p AS SELECT '{own}'"), "PREPARE")?;
        self.has.sql_statement = true;
        self.look()?;
        self.must("an SQL statement", "EXECUTE p", &own)?;
        self.has.sql_statement = false;
        self.must("an SQL statement", "DEALLOCATE p", "DEALLOCATE")
    }

    fn make_table(&mut self) -> Result<(), Leak> {
        let sql = format!("CREATE TEMP TABLE tmp AS SELECT {} AS owner", self.number);
        self.must("a temporary table", &sql, "SELECT 1")?;
        self.has.table = true;
        self.look()?;
        self.has.table = false;
        let (sql, done) = [("DROP TABLE tmp", "DROP TABLE"), ("DISCARD TEMP", "DISCARD TEMP")][self.random.below(2)];
        self.must("a temporary table", sql, done)
    }

    /// Two sessions never have the same lock, and none lets go of another's.
    fn lock(&mut self) -> Result<(), Leak> {
        let key = self.random.below(LOCKS);
        self.must("a lock", &format!("SELECT pg_advisory_unlock({key})"), "f")?;
        if self.says(&format!("SELECT pg_try_advisory_lock({key})"))? != "t" {
            return Ok(());
        }
        self.has.locks.insert(key);
        if self.scene.held[key].swap(true, Ordering::SeqCst) {
            self.has.locks.clear();
            return Err(Leak { kind: "a lock", seen: format!("lock {key} is taken by two sessions at once") });
        }
        self.look()?;
        self.let_go_of_locks();
        let done = self.says("SELECT pg_advisory_unlock_all()")?;
        self.check("a lock", "unlock", &done, "")
    }

    /// Before the server does: whoever is told that it has the lock must find it free here.
    fn let_go_of_locks(&mut self) {
        for key in std::mem::take(&mut self.has.locks) {
            self.scene.held[key].store(false, Ordering::SeqCst);
        }
    }

    fn open_cursor(&mut self) -> Result<(), Leak> {
        self.must("a cursor", "FETCH c", "ERROR 34000")?;
        let sql = format!("DECLARE c CURSOR WITH HOLD FOR SELECT '{} ' || g FROM generate_series(1, 3) g", self.number);
        self.must("a cursor", &sql, "DECLARE CURSOR")?;
        self.has.cursor = true;
        for row in 1..3 {
            self.must("a cursor", "FETCH c", &format!("{} {row}", self.number))?;
            self.look()?;
        }
        self.has.cursor = false;
        self.must("a cursor", "CLOSE c", "CLOSE CURSOR")
    }

    /// What comes is checked wherever it comes, see [`Session::hear`].
    fn notify(&mut self) -> Result<(), Leak> {
        let channel = self.random.below(3);
        self.has.channels.insert(channel);
        self.must("LISTEN", &format!("LISTEN channel_{channel}"), "LISTEN")?;
        for other in 0..3 {
            self.must("NOTIFY", &format!("NOTIFY channel_{other}, 'channel_{other}'"), "NOTIFY")?;
        }
        self.look()?;
        self.must("UNLISTEN", "UNLISTEN *", "UNLISTEN")?;
        self.has.channels.clear();
        self.must("a channel", "SELECT pg_listening_channels()", "SELECT 0")
    }

    fn count(&mut self) -> Result<(), Leak> {
        self.must("a sequence's value", "SELECT currval('shared')", "ERROR 55000")?;
        let value = self.says("SELECT nextval('shared')")?;
        self.look()?;
        self.must("a sequence's value", "SELECT currval('shared')", &value)?;
        self.must("a sequence's value", "SELECT lastval()", &value)?;
        self.must("DISCARD", "DISCARD SEQUENCES", "DISCARD SEQUENCES")
    }

    /// Rows of a transaction that is not over are nobody else's.
    fn write(&mut self) -> Result<(), Leak> {
        let count = format!("SELECT count(*) FROM rows WHERE owner = {}", self.number);
        self.must("BEGIN", "BEGIN", "BEGIN")?;
        self.must("a row", &format!("INSERT INTO rows VALUES ({})", self.number), "INSERT 0 1")?;
        self.must("a row", &count, "1")?;
        self.must("a row", "SELECT count(DISTINCT owner) FROM rows", "1")?;
        self.must("ROLLBACK", "ROLLBACK", "ROLLBACK")?;
        self.must("a row", &count, "0")
    }

    fn play_role(&mut self) -> Result<(), Leak> {
        let role = ROLES[self.number % ROLES.len()];
        self.must("a role", "SELECT current_user", "postgres")?;
        self.must("SET ROLE", &format!("SET ROLE {role}"), "SET")?;
        for _ in 0..3 {
            self.must("a role", "SELECT current_user", role)?;
        }
        self.must("RESET ROLE", "RESET ROLE", "RESET")?;
        self.must("a role", "SELECT current_user", "postgres")
    }

    fn must(&mut self, kind: &'static str, sql: &str, expected: &str) -> Result<(), Leak> {
        let said = self.says(sql)?;
        self.check(kind, sql, &said, expected)
    }

    fn check(&self, kind: &'static str, asked: &str, said: &str, expected: &str) -> Result<(), Leak> {
        if said == expected {
            return Ok(());
        }
        let kind = if said == "ERROR 53300" { "no server in time" } else { kind };
        Err(Leak { kind, seen: format!("{asked}: {said:?} instead of {expected:?}") })
    }

    fn says(&mut self, sql: &str) -> Result<String, Leak> {
        self.answers(&query(sql))
    }

    /// The first value of an answer, or else how it ended: `SET`, `ERROR 42P01`.
    fn answers(&mut self, bytes: &[u8]) -> Result<String, Leak> {
        self.scene.asked.fetch_add(1, Ordering::Relaxed);
        // A connection that has ended shows it when it is read.
        let _ = self.raw.send(bytes);
        let mut said = None;
        loop {
            let message = self.hear(bytes)?;
            match message.tag {
                'Z' => return Ok(said.unwrap_or_default()),
                'D' => said = said.or_else(|| Some(message.value())),
                'C' => said = said.or_else(|| Some(message.body.escape_ascii().to_string().replace("\\x00", ""))),
                'E' => said = Some(format!("ERROR {}", message.sqlstate())),
                _ => {}
            }
        }
    }

    fn hear(&mut self, asked: &[u8]) -> Result<Message, Leak> {
        match self.raw.next_within(PATIENCE) {
            Heard::Message(message) => {
                if message.tag == 'A' {
                    self.check_notification(&message)?;
                }
                Ok(message)
            }
            Heard::End => Err(Leak { kind: "the connection ends", seen: asked.escape_ascii().to_string() }),
            Heard::Silence => Err(Leak { kind: "silence", seen: asked.escape_ascii().to_string() }),
        }
    }

    /// Of a channel that the session listens to, or has listened to until just now.
    fn check_notification(&self, message: &Message) -> Result<(), Leak> {
        let text = String::from_utf8_lossy(&message.body[4..]);
        if self.has.channels.iter().any(|channel| text == format!("channel_{channel}\0channel_{channel}\0")) {
            return Ok(());
        }
        Err(Leak { kind: "a notification", seen: format!("{text:?} for {:?}", self.has.channels) })
    }
}
