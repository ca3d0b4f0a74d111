//! Commands that change a cluster: `SWITCHOVER TO n1 IN main`.

use super::{Command, CommandError, Outcome, Words};
use crate::{admin::lexer::Token, operate::ClusterOrder};

/// Who follows as the node that a command is about.
const A_NODE: &str = "a node's name";

/// `SWITCHOVER [TO <node>] [IN <cluster>]`.
pub(super) fn switchover(words: Words<'_>) -> Outcome {
    let (to, rest) = target(words.rest)?;
    end(words.verb, rest, ClusterOrder::Switchover { to: to.map(Into::into) })
}

/// `FAILOVER [TO <node>] [ALLOW DATA LOSS] [IN <cluster>]`.
pub(super) fn failover(words: Words<'_>) -> Outcome {
    let (to, rest) = target(words.rest)?;
    let (allow_data_loss, rest) = match rest {
        [allow, data, loss, rest @ ..] if allow.is("ALLOW") && data.is("DATA") && loss.is("LOSS") => (true, rest),
        rest => (false, rest),
    };
    end(words.verb, rest, ClusterOrder::Failover { to: to.map(Into::into), allow_data_loss })
}

/// `REJOIN <node> [IN <cluster>]`, and REINIT.
pub(super) fn of_node(words: Words<'_>, order: fn(String) -> ClusterOrder) -> Outcome {
    let rest = match words.rest {
        [node, rest @ ..] if node.is("NODE") && rest.first().is_some_and(|word| !word.is("IN")) => rest,
        rest => rest,
    };
    match rest {
        [] => Err(CommandError::Missing { command: words.verb, what: A_NODE }),
        [node, rest @ ..] => match node.value() {
            Some(node) => end(words.verb, rest, order(node)),
            None => Ok(None),
        },
    }
}

/// `FAILOVER [IN <cluster>]` behind PAUSE or RESUME.
pub(super) fn behind_pause(words: Words<'_>, order: ClusterOrder) -> Option<Outcome> {
    match words.rest {
        // A database of that name goes in quotes.
        [what, rest @ ..] if what.is("FAILOVER") => Some(end(words.verb, rest, order)),
        _ => None,
    }
}

type Target<'w, 't> = (Option<String>, &'w [Token<'t>]);

fn target<'w, 't>(words: &'w [Token<'t>]) -> Result<Target<'w, 't>, CommandError> {
    match words {
        [to] if to.is("TO") => Err(CommandError::Missing { command: "TO", what: A_NODE }),
        [to, node, rest @ ..] if to.is("TO") => Ok((node.value(), rest)),
        rest => Ok((None, rest)),
    }
}

fn end(verb: &'static str, rest: &[Token<'_>], order: ClusterOrder) -> Outcome {
    match rest {
        [] => Ok(Some(Command::Steer { cluster: None, order })),
        [within] if within.is("IN") => Err(CommandError::Missing { command: verb, what: "a cluster's name behind IN" }),
        [within, cluster] if within.is("IN") => {
            Ok(cluster.value().map(|cluster| Command::Steer { cluster: Some(cluster), order }))
        }
        _ => Ok(None),
    }
}
