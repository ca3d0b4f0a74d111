//! pgpool-II's configuration, as far as it is about streaming replication.
//!
//! [`conf`] reads lines. Then each part is written, in the order of our file: [`settings`] with
//! [`auth`], [`backends`], [`routing`]. [`gone`] knows the keys that have no counterpart.
//!
//! <https://www.pgpool.net/docs/latest/en/html/runtime-config.html>

mod auth;
mod backends;
mod conf;
mod gone;
mod passwd;
mod patterns;
mod routing;
mod settings;

use std::{cell::RefCell, collections::BTreeSet};

use auth::Auth;
use backends::Backends;
use conf::Setting;

use super::{Converted, ImportError, Kind, files::Files, page::Page};

pub(super) fn convert(files: &Files<'_>) -> Result<Converted, ImportError> {
    let conf = Conf { settings: conf::read(files)?, taken: RefCell::default() };
    refuse_other_replication(&conf, files)?;
    let backends = Backends::of(&conf, files)?;
    let auth = Auth::of(&conf, files);

    let mut page = Page::new(Kind::Pgpool.name(), files.file);
    settings::write(&mut page, &conf, &auth, files);
    let mut rest = Page::default();
    let password = backends.write(&mut rest, &conf, &auth);
    rest.heading(&["databases"]);
    rest.line("\"*\" = { cluster = \"main\" }");
    routing::write(&mut rest, &conf, &backends);
    // What nobody has taken by now has no counterpart. It is told where top keys may still stand.
    write_gone(&mut page, &conf);
    page.append(rest);

    let (text, tally) = page.into_parts();
    Ok(Converted { text, tally, userlist: Some(auth.userlist), holds_secrets: password })
}

/// Whether a line is one of a `pgpool.conf` and of nothing else.
pub(super) fn is_ours(line: &str) -> bool {
    ["backend_hostname", "num_init_children", "load_balance_mode"].iter().any(|key| line.starts_with(key))
}

/// The file's settings, and which of them somebody has made use of.
struct Conf {
    settings: Vec<Setting>,
    taken: RefCell<BTreeSet<String>>,
}

impl Conf {
    /// The value, when it is set.
    fn take(&self, key: &str) -> Option<&str> {
        self.setting(key).map(|setting| setting.value.as_str())
    }

    /// The value, when it is set and not empty.
    fn text(&self, key: &str) -> Option<&str> {
        self.take(key).filter(|value| !value.is_empty())
    }

    /// Of several names of one key, that which is set.
    fn any(&self, names: &[&str]) -> Option<&str> {
        names.iter().filter_map(|name| self.text(name)).last()
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.take(key).map_or(default, conf::flag)
    }

    /// Those of the keys that are set.
    fn present(&self, keys: &[&str]) -> Vec<String> {
        keys.iter().filter(|key| self.take(key).is_some()).map(|key| (*key).to_owned()).collect()
    }

    fn setting(&self, key: &str) -> Option<&Setting> {
        self.taken.borrow_mut().insert(key.to_owned());
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// What nobody has asked for.
    fn left(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| !self.taken.borrow().contains(&setting.key))
    }
}

/// In all other modes pgpool-II itself keeps the nodes alike; behind Howdah they would drift apart.
fn refuse_other_replication(conf: &Conf, files: &Files<'_>) -> Result<(), ImportError> {
    let refuse = |what: String| Err(ImportError::NotStreaming { file: files.file.to_owned(), what });
    match conf.text("backend_clustering_mode").map(|mode| mode.replace('-', "_")).as_deref() {
        None | Some("streaming_replication" | "raw") => {}
        Some(mode) => return refuse(format!("backend_clustering_mode is {mode}")),
    }
    if conf.flag("replication_mode", false) {
        return refuse("replication_mode is on".to_owned());
    }
    match conf.text("master_slave_sub_mode") {
        Some(mode) if conf.flag("master_slave_mode", false) && mode != "stream" => {
            refuse(format!("master_slave_sub_mode is {mode}"))
        }
        _ => Ok(()),
    }
}

/// One comment for each topic.
fn write_gone(page: &mut Page, conf: &Conf) {
    let mut topics: Vec<(&'static str, Vec<String>)> = Vec::new();
    for setting in conf.left() {
        let instead = gone::topic(&setting.key).map_or(UNKNOWN, |topic| topic.instead);
        match topics.iter_mut().find(|(other, _)| *other == instead) {
            Some((_, keys)) => keys.push(setting.key.clone()),
            None => topics.push((instead, vec![setting.key.clone()])),
        }
    }
    if !topics.is_empty() {
        page.blank();
    }
    for (instead, keys) in topics {
        page.drop_all(&keys, instead);
    }
}

/// Said of a name that is in no manual.
const UNKNOWN: &str = "neither pgpool-II nor Howdah has this key";
