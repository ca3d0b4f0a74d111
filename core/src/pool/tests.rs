//! Quotas that pools share, against a node that the tests play themselves.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime,
    task::yield_now,
    time::{sleep, timeout},
};

use super::{CheckoutError, Lease, Ledger, Pool, PoolLimits, Quota, worker};
use crate::{
    clock::Moment,
    id::PoolKey,
    net::stream::SocketOptions,
    server::{ServerTarget, ServerTls},
};

/// Longest wait for anything; a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// AuthenticationOk, BackendKeyData, ReadyForQuery.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x01Z\0\0\0\x05I";

/// CommandComplete, ReadyForQuery.
const DONE: &[u8] = b"C\0\0\0\x09DONE\0Z\0\0\0\x05I";

/// Lets everybody in, agrees to everything, and counts.
#[derive(Default)]
struct Node {
    port: u16,
    open: AtomicUsize,
    most: AtomicUsize,
    logins: AtomicUsize,
}

impl Node {
    /// Listens on a runtime of its own, so that it serves the pools of several threads.
    fn start() -> Arc<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let node = Arc::new(Self { port: listener.local_addr().unwrap().port(), ..Self::default() });
        let serving = Arc::clone(&node);
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(Arc::clone(&serving).serve(stream));
                }
            });
        });
        node
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        self.logins.fetch_add(1, SeqCst);
        self.most.fetch_max(self.open.fetch_add(1, SeqCst) + 1, SeqCst);
        let startup = stream.read_u32().await.unwrap();
        let mut body = vec![0; startup as usize - 4];
        let mut going_on = stream.read_exact(&mut body).await.is_ok() && stream.write_all(WELCOME).await.is_ok();
        while going_on {
            let Ok(tag) = stream.read_u8().await else { break };
            let mut body = vec![0; stream.read_u32().await.unwrap() as usize - 4];
            going_on =
                tag != b'X' && stream.read_exact(&mut body).await.is_ok() && stream.write_all(DONE).await.is_ok();
        }
        // As PostgreSQL, it has forgotten the session before the socket closes.
        self.open.fetch_sub(1, SeqCst);
    }

    fn most(&self) -> usize {
        self.most.load(SeqCst)
    }

    fn logins(&self) -> usize {
        self.logins.load(SeqCst)
    }
}

/// The quotas of a node, by name, and pools under them.
struct Pools {
    node: Arc<Node>,
    ledger: Arc<Ledger>,
    wait_timeout: Duration,
    size: usize,
}

impl Pools {
    fn new() -> Self {
        Self { node: Node::start(), ledger: Arc::default(), wait_timeout: Duration::ZERO, size: 20 }
    }

    fn quota(&self, max: usize) -> Arc<Quota> {
        Arc::new(self.ledger.quota(max))
    }

    fn pool(&self, name: &str, database: &Arc<Quota>, user: &Arc<Quota>) -> Arc<Pool> {
        let key = PoolKey { database: name.into(), user: name.into(), node: "n0".into() };
        let target = ServerTarget {
            node: "n0".into(),
            host: "127.0.0.1".into(),
            port: self.node.port,
            user: name.into(),
            database: name.into(),
            secret: None,
            tls: ServerTls::DISABLED,
            connect_timeout: PATIENCE,
            socket: SocketOptions::default(),
            parameters: [].into(),
        };
        let limits = PoolLimits {
            size: self.size,
            min_size: 0,
            reserve: 0,
            reserve_timeout: Duration::ZERO,
            wait_timeout: self.wait_timeout,
            wait_notify: Duration::ZERO,
            login_retry: Duration::ZERO,
            lifetime: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            check_delay: Duration::ZERO,
            check_query: None,
            max_prepared: 0,
            connect_query: None,
        };
        Pool::new(key, target, limits, [Arc::clone(database), Arc::clone(user)])
    }

    /// Users of one database that may have so many servers.
    fn of_database<const N: usize>(&self, max: usize) -> (Arc<Quota>, [Arc<Pool>; N]) {
        let database = self.quota(max);
        let pools = std::array::from_fn(|number| self.pool(&format!("user{number}"), &database, &self.quota(0)));
        (database, pools)
    }
}

async fn lent(pool: &Arc<Pool>) -> Result<Lease, CheckoutError> {
    let worker = worker::current();
    match pool.try_checkout(worker) {
        Some(lease) => Ok(lease),
        None => timeout(PATIENCE, pool.checkout(worker, || ())).await.expect("nobody waits for ever"),
    }
}

fn give_back(lease: Lease) {
    lease.give_back(Moment::now());
}

async fn use_once(pool: &Arc<Pool>) {
    give_back(lent(pool).await.unwrap());
}

/// A client that waits in line already.
async fn waiter(pool: &Arc<Pool>) -> tokio::task::JoinHandle<Result<Lease, CheckoutError>> {
    let waiting = pool.counts().waiting;
    let client = tokio::spawn({
        let pool = Arc::clone(pool);
        async move { lent(&pool).await }
    });
    until(|| pool.counts().waiting > waiting).await;
    client
}

async fn until(mut holds: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("it comes to hold");
}

#[tokio::test]
async fn an_idle_server_of_another_pool_makes_way() {
    let pools = Pools::new();
    let (database, [a, b]) = pools.of_database(1);
    use_once(&a).await;

    use_once(&b).await;

    assert_eq!((a.open(), b.open(), database.used()), (0, 1, 1));
    assert_eq!((pools.node.most(), pools.node.logins()), (1, 2));
}

#[tokio::test]
async fn the_server_that_is_idle_for_longest_makes_way() {
    let pools = Pools::new();
    let (_, [a, b, c]) = pools.of_database(3);
    use_once(&a).await;
    let (older, newer) = (lent(&b).await.unwrap(), lent(&b).await.unwrap());
    let kept = newer.info.id;
    sleep(Duration::from_millis(1)).await;
    use_once(&a).await;
    give_back(older);
    sleep(Duration::from_millis(1)).await;
    give_back(newer);

    let first = lent(&c).await.unwrap();
    assert_eq!((a.counts().idle, b.counts().idle), (0, 2), "the one of the first user");
    let second = lent(&c).await.unwrap();
    assert_eq!((a.counts().idle, b.counts().idle), (0, 1), "then the older one of the second");

    give_back(first);
    give_back(second);
    assert_eq!(lent(&b).await.unwrap().info.id, kept);
    assert_eq!(pools.node.most(), 3);
}

#[tokio::test]
async fn a_server_that_somebody_uses_never_makes_way() {
    let pools = Pools { wait_timeout: Duration::from_millis(50), ..Pools::new() };
    let (database, [a, b]) = pools.of_database(1);
    let held = lent(&a).await.unwrap();

    let refused = lent(&b).await.unwrap_err();

    assert!(matches!(refused, CheckoutError::Timeout { .. }), "{refused:?}");
    let id = held.info.id;
    give_back(held);
    let again = lent(&a).await.unwrap();
    assert_eq!(again.info.id, id, "and nobody is waited for who has given up");
    assert_eq!((pools.node.logins(), database.used()), (1, 1));
}

#[tokio::test]
async fn a_server_that_comes_back_where_nobody_waits_goes_where_somebody_does() {
    let pools = Pools::new();
    let (_, [a, b]) = pools.of_database(1);
    let held = lent(&a).await.unwrap();
    let waiting = waiter(&b).await;

    give_back(held);

    give_back(waiting.await.unwrap().unwrap());
    assert_eq!((a.open(), b.open(), pools.node.most()), (0, 1, 1));
}

#[tokio::test]
async fn whoever_waits_for_a_place_gets_it_when_a_server_breaks() {
    let pools = Pools::new();
    let (_, [a, b]) = pools.of_database(1);
    let held = lent(&a).await.unwrap();
    let waiting = waiter(&b).await;

    drop(held);

    give_back(waiting.await.unwrap().unwrap());
    assert_eq!((a.open(), b.open()), (0, 1));
}

#[tokio::test]
async fn clients_of_a_busy_pool_do_not_starve_another() {
    let pools = Pools { size: 1, ..Pools::new() };
    let (_, [a, b]) = pools.of_database(1);
    let stop = Arc::new(AtomicUsize::new(0));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (a, stop) = (Arc::clone(&a), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut turns = 0;
                while stop.load(SeqCst) == 0 {
                    let lease = lent(&a).await.unwrap();
                    sleep(Duration::from_millis(1)).await;
                    give_back(lease);
                    turns += 1;
                }
                turns
            })
        })
        .collect();
    until(|| a.counts().waiting > 0).await;

    for _ in 0..5 {
        use_once(&b).await;
    }

    stop.store(1, SeqCst);
    for client in busy {
        assert!(client.await.unwrap() > 5, "and they have their turns too");
    }
    assert_eq!(pools.node.most(), 1);
    assert!(pools.node.logins() <= 11, "a server changes hands once for each who waits, not more");
}

#[tokio::test]
async fn those_who_wait_in_one_pool_are_served_in_order_though_another_wants_its_servers() {
    let pools = Pools { size: 1, ..Pools::new() };
    let (_, [a, b]) = pools.of_database(1);
    let held = lent(&a).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut clients = Vec::new();
    for number in 0..30 {
        let pool = if number % 3 == 0 { &b } else { &a };
        let (pool, order) = (Arc::clone(pool), Arc::clone(&order));
        let waiting = pool.counts().waiting;
        clients.push(tokio::spawn({
            let pool = Arc::clone(&pool);
            async move {
                let lease = lent(&pool).await.unwrap();
                order.lock().unwrap().push(number);
                sleep(Duration::from_millis(7)).await;
                give_back(lease);
            }
        }));
        until(|| pool.counts().waiting > waiting).await;
    }

    give_back(held);
    for client in clients {
        client.await.unwrap();
    }

    let order = order.lock().unwrap();
    for of_b in [true, false] {
        let own: Vec<_> = order.iter().filter(|number| (*number % 3 == 0) == of_b).collect();
        assert!(own.is_sorted(), "{order:?}");
    }
    assert_eq!(order.len(), 30);
}

#[tokio::test]
async fn a_pool_short_of_both_quotas_takes_a_place_of_each() {
    let pools = Pools::new();
    let (database, other_database) = (pools.quota(1), pools.quota(0));
    let (user, other_user) = (pools.quota(1), pools.quota(0));
    let of_database = pools.pool("database", &database, &other_user);
    let of_user = pools.pool("user", &other_database, &user);
    let of_both = pools.pool("both", &database, &user);
    use_once(&of_database).await;
    let held = lent(&of_user).await.unwrap();

    let waiting = waiter(&of_both).await;
    assert_eq!(of_database.counts().idle, 1, "nothing is closed in vain");
    give_back(held);

    give_back(waiting.await.unwrap().unwrap());
    assert_eq!((of_database.open(), of_user.open(), of_both.open()), (0, 0, 1));
    assert_eq!((database.used(), user.used(), pools.node.most()), (1, 1, 2));
}

#[tokio::test]
async fn a_bound_that_is_raised_lets_those_in_who_wait() {
    let pools = Pools::new();
    let (database, [a, b]) = pools.of_database(1);
    let held = lent(&a).await.unwrap();
    let waiting = waiter(&b).await;

    database.resize(2);
    b.upkeep(worker::current(), tokio::time::Instant::now(), true);

    give_back(waiting.await.unwrap().unwrap());
    give_back(held);
    assert_eq!((a.open(), b.open(), pools.node.most()), (1, 1, 2));
}

#[test]
fn limits_are_exact_and_nobody_is_forgotten_though_many_threads_want_every_pool() {
    const THREADS: usize = 4;
    const CLIENTS: usize = 6;
    const TURNS: usize = 60;
    let pools = Pools { size: 2, ..Pools::new() };
    let (databases, users) = ([pools.quota(2), pools.quota(3)], [pools.quota(2), pools.quota(0)]);
    let all: Vec<_> = databases
        .iter()
        .flat_map(|database| users.iter().map(move |user| (database, user)))
        .enumerate()
        .map(|(number, (database, user))| pools.pool(&format!("pool{number}"), database, user))
        .collect();
    let served = Arc::new(Mutex::new(HashSet::new()));
    let ready = Arc::new(std::sync::Barrier::new(THREADS));

    thread::scope(|scope| {
        for id in 0..THREADS {
            let (all, served, ready) = (all.clone(), Arc::clone(&served), Arc::clone(&ready));
            scope.spawn(move || {
                worker::become_worker(id);
                let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let clients: Vec<_> = (0..CLIENTS)
                        .map(|client| {
                            let (all, served) = (all.clone(), Arc::clone(&served));
                            tokio::spawn(async move {
                                for turn in 0..TURNS {
                                    let lease = lent(&all[(id + client + turn) % all.len()]).await.unwrap();
                                    yield_now().await;
                                    give_back(lease);
                                    served.lock().unwrap().insert((id, client, turn));
                                }
                            })
                        })
                        .collect();
                    for client in clients {
                        client.await.unwrap();
                    }
                    // A socket dies with the runtime that watches it, and others may have got it.
                    tokio::task::spawn_blocking(move || ready.wait()).await.unwrap();
                });
            });
        }
    });

    assert_eq!(served.lock().unwrap().len(), THREADS * CLIENTS * TURNS);
    assert!(pools.node.most() <= 5, "{} at once", pools.node.most());
}
