//! What comes after a loss, as a table.

use super::*;

/// An autocommit INSERT that was sent and not answered.
const INSERT: Scene = Scene {
    in_transaction: false,
    begins: false,
    ending: Ending::None,
    wrote: true,
    serializable: false,
    plain: true,
    unsent: false,
    farewell: false,
    untouched: true,
    repeatable: true,
    committed: false,
};

/// A COMMIT of a transaction that wrote.
const COMMIT: Scene = Scene { in_transaction: true, ending: Ending::Commit, plain: false, ..INSERT };

/// A statement in a transaction.
const INSIDE: Scene = Scene { in_transaction: true, ..INSERT };

#[test]
fn what_provably_was_not_done_is_done_again() {
    let read = Scene { wrote: false, ..INSERT };
    let first = Scene { begins: true, ..INSERT };
    for (what, scene, expected) in [
        ("nothing was sent", Scene { unsent: true, ..INSERT }, Verdict::Again),
        ("a write", INSERT, Verdict::Tell(Loss::Unknown)),
        ("a write, the server said that it goes", Scene { farewell: true, ..INSERT }, Verdict::Again),
        (
            "a procedure, the server said that it goes",
            Scene { farewell: true, plain: false, ..INSERT },
            Verdict::Tell(Loss::Unknown),
        ),
        ("a read", read, Verdict::Again),
        ("a read of which rows were seen", Scene { untouched: false, ..read }, Verdict::Tell(Loss::Answer)),
        ("a read behind what is told one server", Scene { repeatable: false, ..read }, Verdict::Tell(Loss::Answer)),
        ("the first of a transaction", first, Verdict::Again),
        ("the first, rows were seen", Scene { untouched: false, ..first }, Verdict::Tell(Loss::Transaction)),
        ("the first and a COMMIT", Scene { ending: Ending::Mixed, ..first }, Verdict::Tell(Loss::Unknown)),
        ("the same, unsent", Scene { ending: Ending::Mixed, unsent: true, ..first }, Verdict::Again),
    ] {
        assert_eq!(scene.verdict(), expected, "{what}");
    }
}

#[test]
fn a_transaction_ends_with_its_server_and_its_end_is_told_as_it_is() {
    let rollback = Scene { ending: Ending::Rollback, ..COMMIT };
    for (what, scene, expected) in [
        ("a statement", INSIDE, Verdict::Tell(Loss::Transaction)),
        ("an unsent one", Scene { unsent: true, ..INSIDE }, Verdict::Tell(Loss::Transaction)),
        ("ROLLBACK", rollback, Verdict::Answer("ROLLBACK")),
        ("COMMIT", COMMIT, Verdict::Resolve),
        ("COMMIT, unsent", Scene { unsent: true, ..COMMIT }, Verdict::Tell(Loss::Commit)),
        ("COMMIT, answered", Scene { committed: true, untouched: false, ..COMMIT }, Verdict::Finish),
        ("COMMIT, half told", Scene { untouched: false, ..COMMIT }, Verdict::Tell(Loss::Unknown)),
        ("COMMIT of nothing", Scene { wrote: false, ..COMMIT }, Verdict::Answer("COMMIT")),
        ("COMMIT of a serializable read", Scene { wrote: false, serializable: true, ..COMMIT }, Verdict::Resolve),
        ("COMMIT and more", Scene { ending: Ending::Mixed, ..COMMIT }, Verdict::Tell(Loss::Unknown)),
    ] {
        assert_eq!(scene.verdict(), expected, "{what}");
    }
}
