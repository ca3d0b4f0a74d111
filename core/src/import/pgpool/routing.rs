//! Load balancing: the settings of the policy `builtin:read-write-split`.

use super::{
    super::{
        page::Page,
        value::{array, string, table},
    },
    Conf,
    backends::Backends,
    conf, patterns,
};

pub(super) fn write(page: &mut Page, conf: &Conf, backends: &Backends) {
    page.blank();
    if !conf.flag("load_balance_mode", true) {
        page.note_kept("load_balance_mode");
        page.comment("`load_balance_mode` is off, so there is no [plugins.router]: everything goes to the primary.");
        let unused = conf.present(&ONLY_WITH_BALANCE);
        if !unused.is_empty() {
            page.drop_all(&unused, "they were not used, since `load_balance_mode` is off");
        }
        return;
    }
    page.change(
        "load_balance_mode",
        "a transaction is on the primary from its beginning unless it is READ ONLY, and who may read where is decided \
         for each statement",
    );
    page.line("[plugins.router]");
    page.line("component = \"builtin:read-write-split\"");
    page.heading(&["plugins", "router", "settings"]);
    page.comment("pgpool-II gives the primary its share; `weight = 0` takes a node out.");
    page.line("include_primary = true");
    write_balance(page, conf);
    write_lag(page, conf);
    write_functions(page, conf);
    for (theirs, ours) in PREFERENCES {
        write_preferences(page, conf, backends, theirs, ours);
    }
}

/// pgpool-II's lists of who reads where, and ours.
const PREFERENCES: [(&str, &str); 3] = [
    ("app_name_redirect_preference_list", "application_preferences"),
    ("user_redirect_preference_list", "user_preferences"),
    ("database_redirect_preference_list", "database_preferences"),
];

/// Each list of functions has two names; the second is of pgpool-II before 4.2.
const READ_ONLY_FUNCTIONS: [&str; 2] = ["read_only_function_list", "white_function_list"];
const WRITE_FUNCTIONS: [&str; 2] = ["write_function_list", "black_function_list"];

/// What means nothing without balance.
const ONLY_WITH_BALANCE: [&str; 11] = [
    "statement_level_load_balance",
    "disable_load_balance_on_write",
    "delay_threshold",
    "delay_threshold_by_time",
    "read_only_function_list",
    "white_function_list",
    "write_function_list",
    "black_function_list",
    "app_name_redirect_preference_list",
    "user_redirect_preference_list",
    "database_redirect_preference_list",
];

fn write_balance(page: &mut Page, conf: &Conf) {
    // By default a session keeps the node that it was given at its start.
    if !conf.flag("statement_level_load_balance", false) {
        page.keep("statement_level_load_balance", "balance", "\"session\"");
    } else {
        page.keep("statement_level_load_balance", "balance", "\"random\"");
    }
    match conf.text("disable_load_balance_on_write") {
        Some("off") => page.keep("disable_load_balance_on_write", "causal_reads", "\"none\""),
        _ => {
            page.change(
                "disable_load_balance_on_write",
                "a session sees its own writes on every node, and reads elsewhere as soon as it would",
            );
            page.line("causal_reads = \"session\"");
        }
    }
}

fn write_lag(page: &mut Page, conf: &Conf) {
    if let Some(text) = conf.text("delay_threshold") {
        match conf::bytes(text) {
            Ok(0) => page.note_kept("delay_threshold"),
            Ok(bytes) => page.keep("delay_threshold", "max_lag_bytes", &bytes.to_string()),
            Err(refused) => page.drop("delay_threshold", text, &refused.0),
        }
    }
    let Some(text) = conf.text("delay_threshold_by_time") else { return };
    match conf::millis(text, 1) {
        Ok(0) => page.note_kept("delay_threshold_by_time"),
        // The policy's longest is 49 days.
        Ok(millis) if millis <= u64::from(u32::MAX) => {
            if text.bytes().all(|byte| byte.is_ascii_digit()) {
                page.comment("A number without a unit is taken for milliseconds.");
            }
            page.keep("delay_threshold_by_time", "max_lag", &string(&format!("{millis}ms")));
        }
        Ok(_) => page.drop("delay_threshold_by_time", text, "it is as good as no limit"),
        Err(refused) => page.drop("delay_threshold_by_time", text, &refused.0),
    }
}

fn write_functions(page: &mut Page, conf: &Conf) {
    let lists = [
        (READ_ONLY_FUNCTIONS, "read_only_functions", "others that the catalog calls STABLE or IMMUTABLE read as well"),
        (WRITE_FUNCTIONS, "write_functions", "others that the catalog calls VOLATILE write as well"),
    ];
    for (theirs, ours, what) in lists {
        let Some(list) = conf.any(&theirs) else { continue };
        let mut names = Vec::new();
        for expression in items(list) {
            match patterns::names(&expression.to_lowercase()) {
                Some(some) => names.extend(some),
                None => page.drop(theirs[0], expression, "list the functions by name, with `*` for any text"),
            }
        }
        if names.is_empty() {
            continue;
        }
        page.change(theirs[0], what);
        page.line(&format!("{ours} = {}", array(names.iter().map(String::as_str))));
    }
}

fn write_preferences(page: &mut Page, conf: &Conf, backends: &Backends, theirs: &str, ours: &str) {
    let Some(list) = conf.text(theirs) else { return };
    let mut entries: Vec<(String, String)> = Vec::new();
    for item in items(list) {
        let parsed = item.rsplit_once(':').map(|(expression, node)| (expression.trim(), node.trim()));
        let Some((expression, node)) = parsed else {
            page.drop(theirs, item, "it is no pair of a name and a node");
            continue;
        };
        let (node, share) = node.split_once('(').map_or((node, ""), |(node, share)| (node.trim(), share));
        let to = match node {
            "primary" | "standby" => Some(node.to_owned()),
            number => number.parse().ok().and_then(|number| backends.name(number)),
        };
        match (patterns::names(expression), to) {
            (Some(names), Some(to)) => {
                if !share.is_empty() {
                    page.change(theirs, "all reads go there, not only a part of them");
                }
                for name in names {
                    if entries.iter().all(|(other, _)| *other != name) {
                        entries.push((name, string(&to)));
                    }
                }
            }
            (None, _) => page.drop(theirs, item, "give the names one by one, with `*` for any text"),
            (_, None) => page.drop(theirs, item, "there is no such backend"),
        }
    }
    if !entries.is_empty() {
        page.keep(theirs, ours, &table(&entries));
    }
}

/// What stands between commas, those in brackets aside.
fn items(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    let parts = list.split(move |c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|item| !item.is_empty())
}
