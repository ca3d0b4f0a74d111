//! Which requests are under way together: as the case's order has it, as far as a few servers can.
//!
//! One server must always be free for whoever needs one for a moment, because a session that is in a
//! transaction keeps its server until its next request, which waits for nobody here. So at most one session
//! fewer than there are servers may hold one. In session mode all servers may be held, because nobody needs
//! one for a moment.

use super::case::{Case, Mark, Mode, Request};

/// What a session is, between two requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It may hold a server.
    pub holds: bool,
    /// Its transaction's end will be noticed by others.
    pub public: bool,
}

/// Takes the next round of requests, at most one of a session, out of those that are left.
///
/// Nobody is left out for ever: who holds a server may always go on.
pub fn next_round(case: &Case, left: &mut Vec<usize>, sessions: &[Standing]) -> Vec<usize> {
    let mode = case.stage.proxy.mode;
    let holders_max = match mode {
        Mode::Session => case.stage.proxy.servers,
        Mode::Transaction => case.stage.proxy.servers - 1,
    };
    let mut free = holders_max.saturating_sub(sessions.iter().filter(|session| session.holds).count());
    let mut seen = vec![false; sessions.len()];
    let (mut round, mut later) = (Vec::new(), Vec::new());
    let mut is_public = false;
    for number in left.drain(..) {
        let request = &case.requests[number];
        let standing = sessions[request.session];
        let takes = !standing.holds && (mode == Mode::Session || may_hold(request));
        let public = standing.public || request.is(Mark::Public) || request.is(Mark::Settles);
        let is_first = !std::mem::replace(&mut seen[request.session], true);
        if !is_first || round.len() >= case.stage.at_once || (takes && free == 0) || (public && is_public) {
            later.push(number);
            continue;
        }
        free -= usize::from(takes);
        is_public |= public;
        round.push(number);
    }
    *left = later;
    round
}

/// Whether its session may hold a server between its steps or behind it.
pub fn may_hold(request: &Request) -> bool {
    request.is(Mark::Begins) || request.is(Mark::Pins) || request.steps.len() > 1
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            case::{ProxyKind, Stage},
            sent::Sent,
        },
        *,
    };

    fn case(servers: usize, requests: &[(usize, &[Mark])]) -> Case {
        let proxy = ProxyKind { mode: Mode::Transaction, servers, policy: false, statements: 0 };
        let stage = Stage { why: String::new(), proxy, user: String::new(), at_once: 3, sessions: vec![vec![]; 4] };
        let request = |(session, marks): &(usize, &[Mark])| Request {
            session: *session,
            kind: String::new(),
            steps: vec![vec![Sent::Sync]],
            marks: marks.to_vec(),
        };
        Case { stage, requests: requests.iter().map(request).collect() }
    }

    #[test]
    fn a_session_keeps_its_order_and_no_round_is_wider_than_wished() {
        let case = case(2, &[(0, &[]), (0, &[]), (1, &[]), (2, &[]), (3, &[])]);
        let mut left = vec![0, 1, 2, 3, 4];
        let idle = [Standing::default(); 4];

        assert_eq!(next_round(&case, &mut left, &idle), [0, 2, 3]);
        assert_eq!(next_round(&case, &mut left, &idle), [1, 4]);
        assert!(left.is_empty());
    }

    #[test]
    fn one_server_is_always_free() {
        let case = case(2, &[(0, &[Mark::Begins]), (1, &[Mark::Pins]), (2, &[]), (0, &[])]);
        let mut left = vec![0, 1, 2, 3];
        let mut sessions = [Standing::default(); 4];

        assert_eq!(next_round(&case, &mut left, &sessions), [0, 2]);
        sessions[0].holds = true;
        assert_eq!(next_round(&case, &mut left, &sessions), [3]);
        sessions[0].holds = false;
        assert_eq!(next_round(&case, &mut left, &sessions), [1]);
    }

    #[test]
    fn what_others_notice_happens_one_after_the_other() {
        let case = case(4, &[(0, &[Mark::Public]), (1, &[Mark::Public]), (2, &[])]);
        let mut left = vec![0, 1, 2];

        assert_eq!(next_round(&case, &mut left, &[Standing::default(); 4]), [0, 2]);
        let in_transaction = Standing { holds: true, public: true };
        let mut left = vec![1, 2];
        let sessions = [Standing::default(), Standing::default(), in_transaction, Standing::default()];
        assert_eq!(next_round(&case, &mut left, &sessions), [1], "the other's next request may be its commit");
    }
}
