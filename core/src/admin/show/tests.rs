use super::*;
use crate::admin::{command::SHOWS, fixture};

fn names(what: Show) -> Vec<&'static str> {
    view(what).columns.iter().map(|(name, _)| *name).collect()
}

/// PgBouncer's columns in PgBouncer's order, and behind them ours.
#[test]
fn columns_are_those_of_pgbouncer_in_its_order() {
    let sockets = "type user database replication state addr port local_addr local_port connect_time request_time \
        wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id";
    let counts = "server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time \
        wait_time client_parse_count server_parse_count bind_count client_login_count";
    let cases = [
        (
            Show::Pools,
            "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active \
             sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode \
             load_balance_hosts"
                .to_owned(),
            "node paused",
        ),
        (
            Show::Stats,
            "database total_server_assignment_count total_xact_count total_query_count total_received total_sent \
             total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count \
             total_bind_count total_client_login_count avg_server_assignment_count avg_xact_count avg_query_count \
             avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count \
             avg_server_parse_count avg_bind_count avg_client_login_count"
                .to_owned(),
            "total_standby_query_count total_rerouted_query_count total_error_count",
        ),
        (Show::StatsTotals, format!("database {counts}"), ""),
        (Show::StatsAverages, format!("database {counts}"), ""),
        (Show::Totals, "name value".to_owned(), ""),
        (
            Show::Databases,
            "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode \
             load_balance_hosts max_connections current_connections max_client_connections \
             current_client_connections paused disabled"
                .to_owned(),
            "cluster",
        ),
        (
            Show::Users,
            "name pool_size reserve_pool_size pool_mode max_user_connections current_connections \
             max_user_client_connections current_client_connections"
                .to_owned(),
            "",
        ),
        (Show::Clients, sockets.to_owned(), "node"),
        (Show::Servers, sockets.to_owned(), "node"),
        (
            Show::Sockets,
            format!("{sockets} recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail"),
            "node",
        ),
        (Show::Lists, "list items".to_owned(), ""),
        (Show::Config, "key value default changeable".to_owned(), ""),
        (Show::Mem, "name size used free memtotal".to_owned(), ""),
        (Show::State, "key value".to_owned(), ""),
        (Show::Version, "version".to_owned(), ""),
        (Show::Peers, "peer_id host port pool_size".to_owned(), ""),
        (
            Show::PeerPools,
            "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login".to_owned(),
            "",
        ),
        (Show::DnsHosts, "hostname ttl addrs".to_owned(), ""),
        (Show::DnsZones, "zonename serial count".to_owned(), ""),
    ];
    for (what, theirs, ours) in cases {
        let wanted: Vec<_> = theirs.split_whitespace().chain(ours.split_whitespace()).collect();
        assert_eq!(names(what), wanted, "{what:?}");
    }
}

#[test]
fn columns_of_ours_stay_where_they_are() {
    let cases = [
        (
            Show::Nodes,
            "cluster name host port role health ramp weight timeline received_lsn replay_lsn lag_bytes lag_ms busy \
             idle waiting statements why",
        ),
        (
            Show::Plugins,
            "cluster name policy version state generation calls failures traps timeouts p50_us max_us instances \
             memory_bytes api sha256 last_error",
        ),
        (Show::Pins, "id user database application_name cause since seconds node remote_pid"),
        (Show::Plans, "fingerprint shape kind class transaction rule plan hits workers"),
        (Show::Generations, "generation since cause running sessions policy"),
        (Show::Counters, "counter value"),
    ];
    for (what, wanted) in cases {
        assert_eq!(names(what), wanted.split_whitespace().collect::<Vec<_>>(), "{what:?}");
    }
}

#[tokio::test]
async fn every_row_fits_its_columns() {
    let (shared, _commands) = fixture::shared();
    fixture::pools(&shared, "app", "alice");
    fixture::client(&shared, "app", "alice");
    let context = fixture::context(&shared);
    for (name, what) in SHOWS {
        let table = table(&context, what);
        for row in &table.rows {
            assert_eq!(row.len(), table.columns.len(), "SHOW {name}");
            for (value, (column, kind)) in row.iter().zip(&table.columns) {
                assert!(value.fits(*kind), "SHOW {name}: {column} is {value:?}");
            }
        }
    }
}

fn shown(context: &Context, what: Show, wanted: &[&str]) -> Vec<String> {
    let table = table(context, what);
    let places: Vec<_> = wanted
        .iter()
        .map(|name| table.columns.iter().position(|(column, _)| column == name).expect("a column of that name"))
        .collect();
    let text = |row: &Row| places.iter().map(|&at| row[at].text().unwrap_or_default()).collect::<Vec<_>>().join("|");
    table.rows.iter().map(text).collect()
}

#[tokio::test]
async fn pools_have_a_row_for_each_node_unless_pgbouncer_is_asked() {
    let (shared, _commands) = fixture::shared();
    fixture::pools(&shared, "app", "alice");
    fixture::client(&shared, "app", "alice");
    let mut context = fixture::context(&shared);
    let columns = ["database", "user", "node", "cl_active", "cl_waiting", "pool_mode"];

    assert_eq!(
        shown(&context, Show::Pools, &columns),
        ["app|alice|n0|1|0|session", "app|alice|n1|0|0|session", "app|alice|n2|0|0|session"]
    );
    context.by_pgbouncers_rows = true;
    assert_eq!(shown(&context, Show::Pools, &columns), ["app|alice||1|0|session"]);
}

#[tokio::test]
async fn nodes_say_what_they_are_and_why_they_get_nothing() {
    let (shared, _commands) = fixture::shared();
    let set = fixture::pools(&shared, "app", "alice");
    set.pools[1].count_request();
    let context = fixture::context(&shared);
    assert_eq!(
        shown(
            &context,
            Show::Nodes,
            &["cluster", "name", "role", "health", "lag_bytes", "replay_lsn", "statements", "why"]
        ),
        ["main|n0|primary|up|0|16/0|0|", "main|n1|standby|up|0|16/0|1|", "main|n2|unknown|down|||0|connection refused",]
    );
}

#[tokio::test]
async fn orders_of_operators_are_shown() {
    let (shared, _commands) = fixture::shared();
    let context = fixture::context(&shared);
    fixture::pools(&shared, "other", "alice");
    shared.registry.pause(Some("app")).unwrap();
    shared.registry.set_disabled("other", true).unwrap();

    let databases = shown(&context, Show::Databases, &["name", "port", "cluster", "paused", "disabled"]);
    assert_eq!(databases, ["app|5432|main|1|0", "other|5432|main|0|1"]);
    shared.registry.pause(None).unwrap();
    let state = shown(&context, Show::State, &["key", "value"]);
    assert_eq!(state, ["active|no", "paused|yes", "suspended|no", "leaving|no"]);
}

#[tokio::test]
async fn clients_and_generations_are_shown() {
    let (shared, _commands) = fixture::shared();
    let client = fixture::client(&shared, "app", "alice");
    let context = fixture::context(&shared);
    let columns = ["type", "user", "database", "state", "addr", "application_name", "id"];
    let row = format!("C|alice|app|idle|unix|psql|{}", client.pid);
    assert_eq!(shown(&context, Show::Clients, &columns), [row]);
    assert_eq!(
        shown(&context, Show::Generations, &["generation", "since", "cause", "running", "sessions"]),
        ["1|1970-01-01 00:00:00 UTC|start|yes|0"]
    );
}
