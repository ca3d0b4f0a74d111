//! Numbers about what the proxy does.
//!
//! [`stats`] counts with [`counter`]s, [`averages`] remembers what was counted; [`exposition`] and [`http`] are how
//! Prometheus gets it. What is told of the proxy is up to `admin`.

pub mod averages;
pub mod counter;
pub mod exposition;
pub mod histogram;
pub mod http;
pub mod log;
pub mod stats;
