//! Names that people bring from PgBouncer and that are no keys here, with what to do instead.

/// What to do about a key, when it is one of these. `section` is the table that it stands in, empty at the
/// top of the file.
pub(in super::super) fn advice(section: &str, name: &str) -> Option<&'static str> {
    let list = match section {
        "" => TOP,
        "databases" => DATABASE,
        _ => return None,
    };
    list.iter().find(|(known, _)| *known == name).map(|(_, advice)| *advice)
}

const UNSUPPORTED: &str = "PgBouncer's, and not supported";
const FILES: &str = "log lines go to standard error";
const DNS: &str = "the system's resolver decides";

const TOP: &[(&str, &str)] = &[
    ("howdah", "the keys stand at the top of the file, outside of any table"),
    ("pgbouncer", "the keys of [pgbouncer] stand at the top of the file, outside of any table"),
    ("autodb_idle_timeout", UNSUPPORTED),
    ("client_tls13_ciphers", "the TLS library's choice is used"),
    ("client_tls_ciphers", "the TLS library's choice is used"),
    ("client_tls_dheparams", "the TLS library's choice is used"),
    ("client_tls_ecdhcurve", "the TLS library's choice is used"),
    ("client_tls_protocols", "TLS 1.2 and 1.3 are spoken"),
    ("disable_pqexec", UNSUPPORTED),
    ("dns_max_ttl", DNS),
    ("dns_nxdomain_ttl", DNS),
    ("dns_zone_check_period", DNS),
    ("job_name", UNSUPPORTED),
    ("listen_backlog", UNSUPPORTED),
    ("log_stats", "statistics are on the console and in the metrics"),
    ("logfile", FILES),
    ("login_notify_message", UNSUPPORTED),
    ("max_packet_size", "messages are passed on in pieces, of any size"),
    ("pool_idle_timeout", UNSUPPORTED),
    ("pkt_buf", "buffers grow and shrink by themselves"),
    ("resolv_conf", DNS),
    ("sbuf_loopcnt", UNSUPPORTED),
    ("server_fast_close", UNSUPPORTED),
    ("server_round_robin", UNSUPPORTED),
    ("server_tls13_ciphers", "the TLS library's choice is used"),
    ("server_tls_ciphers", "the TLS library's choice is used"),
    ("server_tls_protocols", "TLS 1.2 and 1.3 are spoken"),
    ("service_name", UNSUPPORTED),
    ("so_reuseport", "one process uses `workers` cores"),
    ("suspend_timeout", UNSUPPORTED),
    ("syslog", FILES),
    ("syslog_facility", FILES),
    ("syslog_ident", FILES),
    ("tcp_defer_accept", UNSUPPORTED),
    ("tcp_socket_buffer", UNSUPPORTED),
    ("track_extra_parameters", "every setting of a session is kept"),
    ("unix_socket_group", UNSUPPORTED),
    ("user", "start the program as the user it shall run as"),
    ("verbose", "HOWDAH_LOG sets what is logged"),
];

const DATABASE: &[(&str, &str)] = &[
    ("host", "hosts are nodes of a cluster: [clusters.NAME] nodes = [{ name = \"n0\", host = \"…\" }]"),
    ("port", "ports belong to nodes of a cluster: [clusters.NAME] nodes = [{ name = \"n0\", port = … }]"),
    ("client_encoding", "clients set it themselves"),
    ("datestyle", "clients set it themselves"),
    ("timezone", "clients set it themselves"),
    ("load_balance_hosts", "a node's `weight` and the router policy decide"),
    ("target_session_attrs", "the router policy decides"),
];
