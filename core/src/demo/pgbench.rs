//! Reads what pgbench prints at its end.
//!
//! Standard library only, because `xtask` includes this very file.

/// What a run of pgbench came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Transactions that succeeded.
    pub transactions: u64,
    /// Transactions that failed with an error that pgbench goes on after.
    pub failed: u64,
    /// Clients that gave up after an error.
    pub aborted_clients: u64,
    /// Transactions per second, without the time for the first connections.
    pub tps: f64,
    /// Average latency in milliseconds.
    pub latency_average_ms: f64,
}

impl Summary {
    /// From standard output and standard error; `None` when pgbench ended without a summary.
    pub fn parse(stdout: &str, stderr: &str) -> Option<Self> {
        let after = |start: &str| stdout.lines().find_map(|line| line.strip_prefix(start));
        let number = |text: &str| text.split([' ', '/', '(']).next().map(str::to_owned);
        let tps = after("tps = ").and_then(number)?;
        Some(Self {
            transactions: after("number of transactions actually processed: ").and_then(number)?.parse().ok()?,
            failed: after("number of failed transactions: ").and_then(number).and_then(|n| n.parse().ok()).unwrap_or(0),
            aborted_clients: stderr.lines().filter(|line| line.contains(" aborted ")).count() as u64,
            tps: tps.parse().ok()?,
            latency_average_ms: after("latency average = ").and_then(number)?.parse().ok()?,
        })
    }

    /// Whether no client saw an error.
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.aborted_clients == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STDOUT: &str = "\
transaction type: <builtin: select only>
number of transactions actually processed: 11742
number of failed transactions: 3 (0.026%)
latency average = 0.851 ms
initial connection time = 3.204 ms
tps = 1174.563 (without initial connection time)
";

    #[test]
    fn a_summary_has_its_failures() {
        let stderr = "pgbench: error: client 2 aborted in command 0 (SQL) of script 0; perhaps the backend died\n";

        let summary = Summary::parse(STDOUT, stderr).unwrap();

        let (transactions, failed, aborted_clients) = (11742, 3, 1);
        let expected = Summary { transactions, failed, aborted_clients, tps: 1174.563, latency_average_ms: 0.851 };
        assert_eq!(summary, expected);
        assert!(!summary.is_clean());
    }

    #[test]
    fn a_run_that_never_began_has_no_summary() {
        assert_eq!(Summary::parse("", "pgbench: error: connection to server failed"), None);
    }
}
