//! The demo's tour shows what the README promises, step by step, and ends well only if all of it holds.

use std::process::Command;

use howdah_tests::program;

#[test]
fn every_step_of_the_tour_holds() {
    let tour = Command::new(program::howdah()).args(["demo", "--tour"]).output().expect("it starts");

    let (said, complaint) = (String::from_utf8_lossy(&tour.stdout), String::from_utf8_lossy(&tour.stderr));
    assert!(tour.status.success(), "{said}\n{complaint}");
    assert_eq!(said.matches(" ok: ").count(), 10, "{said}");
    assert!(said.contains("transactions, 0 failed"), "{said}");
}
