//! Every promise of the README has a file here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod bad_input;
mod by_value;
mod causal_reads;
mod cluster_facts;
mod console;
mod differential;
mod drivers;
mod faults;
mod garbage;
mod held_clients;
mod hot_swap;
mod import;
mod lag_flapping;
mod leaks;
mod login;
mod many_clients;
mod own_cluster;
mod pgbench;
mod pools;
mod regression_suite;
mod rejoin;
mod tour;
mod virtual_sessions;
