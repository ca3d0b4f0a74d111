//! PgBouncer's configuration, as its manual describes it in version 1.25.
//!
//! [`ini`] reads lines, [`source`] sorts them, and then each part is written by its own file, in the
//! order of ours: [`settings`] (with [`auth`]), [`clusters`], [`databases`] and users. What becomes of
//! a key that needs no thought is [`carry`]'s business; [`instead`] knows what to do without one.
//!
//! <https://www.pgbouncer.org/config.html>

mod auth;
mod carry;
mod clusters;
mod connstr;
mod databases;
mod ini;
mod instead;
mod settings;
mod source;

use auth::Auth;
use clusters::Clusters;
use databases::Preferences;
use source::Source;

use super::{Converted, ImportError, Kind, files::Files, page::Page, users::Userlist, value};

pub(super) fn convert(files: &Files<'_>) -> Result<Converted, ImportError> {
    let source = Source::read(files)?;
    let auth = Auth::of(&source, files);
    let clusters = Clusters::of(&source);

    let mut page = Page::new(Kind::Pgbouncer.name(), files.file);
    settings::write(&mut page, &source, &auth, &clusters, files);
    let control_passwords = clusters.write(&mut page, &auth, &source);
    let preferences = databases::write(&mut page, &source, &clusters);
    databases::write_users(&mut page, &source);
    databases::write_peers(&mut page, &source);
    write_router(&mut page, &clusters, &preferences);

    let (text, tally) = page.into_parts();
    let passwords = source.databases.iter().any(|database| database.pair("password").is_some());
    let userlist = auth.makes_userlist.then(Userlist::template);
    Ok(Converted { text, tally, userlist, holds_secrets: control_passwords || passwords })
}

/// A policy, when there is more than one place where a statement could go, or a standby may be alone.
fn write_router(page: &mut Page, clusters: &Clusters<'_>, preferences: &Preferences) {
    let is_choice = clusters.any_has_choice() || !preferences.is_empty();
    if !is_choice && !clusters.are_several() {
        return;
    }
    page.blank();
    if is_choice {
        page.change("host", SEVERAL_HOSTS);
    } else {
        page.comment(LONE_NODES);
    }
    page.line("[plugins.router]");
    page.line("component = \"builtin:read-write-split\"");
    if is_choice {
        page.heading(&["plugins", "router", "settings"]);
        page.line("include_primary = true");
    }
    if !preferences.is_empty() {
        page.line(&format!("database_preferences = {}", value::table(preferences)));
    }
}

const SEVERAL_HOSTS: &str = "of several hosts PgBouncer takes one after the other, whatever the statement; Howdah sends \
    writes to the primary and reads to all, and each session sees its own writes. Without the next lines everything \
    goes to the primary";

const LONE_NODES: &str = "Sends reads to standbys. Without it a cluster that has nothing but a standby serves nothing.";
