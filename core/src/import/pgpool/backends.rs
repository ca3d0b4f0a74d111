//! `backend_hostname0` and its like: the nodes of one cluster.

use super::{
    super::{ImportError, files::Files, page::Page, users, value::string},
    Conf,
    auth::Auth,
};

/// The most backends that pgpool-II has.
const BACKENDS_MAX: u32 = 128;

/// Where a backend's socket is when its host is empty.
const SOCKETS: &str = "/tmp";

/// What one backend's share of reads becomes when all have the same.
const WEIGHT: f64 = 100.0;

/// The most that `weight` may be.
const WEIGHT_MAX: f64 = 1000.0;

/// The only cluster, and what it is called.
#[derive(Debug)]
pub(super) struct Backends(Vec<Backend>);

#[derive(Debug)]
struct Backend {
    number: u32,
    host: String,
    port: String,
    weight: f64,
}

impl Backends {
    pub(super) fn of(conf: &Conf, files: &Files<'_>) -> Result<Self, ImportError> {
        let mut backends: Vec<Backend> = Vec::new();
        for number in 0..BACKENDS_MAX {
            let Some(host) = conf.take(&format!("backend_hostname{number}")) else { continue };
            let host = if host.is_empty() { SOCKETS } else { host };
            let port = conf.text(&format!("backend_port{number}")).unwrap_or("5432");
            let port = port.parse::<u16>().ok().filter(|port| *port != 0).unwrap_or(5432).to_string();
            let weight = conf.text(&format!("backend_weight{number}"));
            let weight = weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0f64);
            let weight = if weight.is_finite() { weight.max(0.0) } else { 1.0 };
            if backends.iter().all(|other| (&other.host, &other.port) != (&host.to_owned(), &port)) {
                backends.push(Backend { number, host: host.to_owned(), port, weight });
            }
        }
        if backends.is_empty() {
            return Err(ImportError::Empty { file: files.file.to_owned(), what: "there is no backend_hostname0" });
        }
        Ok(Self(backends))
    }

    /// Its name, when there is such a backend.
    pub(super) fn name(&self, number: u32) -> Option<String> {
        self.0.iter().any(|backend| backend.number == number).then(|| node_name(number))
    }

    /// Writes the cluster; whether a password is among what was written.
    pub(super) fn write(&self, page: &mut Page, conf: &Conf, auth: &Auth) -> bool {
        page.heading(&["clusters", "main"]);
        page.comment("A node is called after its number in pgpool-II.");
        page.line("nodes = [");
        let weights = self.weights();
        for (backend, weight) in self.0.iter().zip(&weights) {
            let (name, host, port) = (string(&node_name(backend.number)), string(&backend.host), &backend.port);
            let weight = weight.map(|weight| format!(", weight = {weight}")).unwrap_or_default();
            page.line(&format!("  {{ name = {name}, host = {host}, port = {port}{weight} }},"));
            page.note_kept(&format!("backend_hostname{}", backend.number));
        }
        page.line("]");
        let user = auth.control_user(conf);
        page.change("control_user", users::WHY);
        user.write(page);
        user.ask_for(page, &["main"]);
        user.password.is_some()
    }

    /// Shares in our range; none when all are the same.
    fn weights(&self) -> Vec<Option<u32>> {
        let first = self.0.first().map_or(1.0, |backend| backend.weight);
        if first > 0.0 && self.0.iter().all(|backend| backend.weight == first) {
            return vec![None; self.0.len()];
        }
        let most = self.0.iter().map(|backend| backend.weight).fold(0.0, f64::max);
        let factor = if most * WEIGHT > WEIGHT_MAX { WEIGHT_MAX / most } else { WEIGHT };
        let whole = |weight: f64| match weight {
            0.0 => 0,
            // Between 1 and 1000, by the factor.
            some => (some * factor).round().max(1.0) as u32,
        };
        self.0.iter().map(|backend| Some(whole(backend.weight))).collect()
    }
}

fn node_name(number: u32) -> String {
    format!("n{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(all: &[f64]) -> Vec<Option<u32>> {
        let backend = |weight: &f64| Backend { number: 0, host: String::new(), port: String::new(), weight: *weight };
        Backends(all.iter().map(backend).collect()).weights()
    }

    #[test]
    fn shares_keep_their_proportion() {
        assert_eq!(weights(&[1.0, 1.0]), [None, None]);
        assert_eq!(weights(&[0.0, 1.0, 0.5]), [Some(0), Some(100), Some(50)]);
        assert_eq!(weights(&[100.0, 50.0]), [Some(1000), Some(500)]);
        assert_eq!(weights(&[1e12, 1.0]), [Some(1000), Some(1)]);
        assert_eq!(weights(&[0.0, 0.0]), [Some(0), Some(0)]);
    }
}
