//! Who may log in: `pool_passwd` becomes an `auth_file`, `pool_hba.conf` stays.

use super::{
    super::{
        USERLIST,
        files::Files,
        page::Page,
        users::{ControlUser, Userlist},
        value::string,
    },
    Conf,
    passwd::{self, Passwords},
};

/// Where pgpool-II looks for `pool_passwd` and for rules, from the folder of its configuration on.
const POOL_PASSWD: &str = "pool_passwd";
const POOL_HBA: &str = "pool_hba.conf";

/// The authentication part of a configuration.
pub(super) struct Auth {
    auth_type: &'static str,
    /// The rules file.
    hba: Option<String>,
    /// There should be one.
    rules_are_missing: bool,
    passwords: Passwords,
    pub userlist: Userlist,
}

impl Auth {
    pub(super) fn of(conf: &Conf, files: &Files<'_>) -> Self {
        let file = conf.take("pool_passwd").unwrap_or(POOL_PASSWD);
        let contents = match file {
            "" => Vec::new(),
            file => files.read(&Files::from_folder(file, files.file)).unwrap_or_default(),
        };
        let passwords = passwd::read(&contents);
        let wants_rules = conf.flag("enable_pool_hba", false);
        let rules = Files::from_folder(POOL_HBA, files.file);
        let hba = (wants_rules && files.is_there(&rules)).then(|| files.named(POOL_HBA, &rules));
        let has_hash = passwords.usable.iter().any(|(_, secret)| secret.starts_with("md5"));
        let auth_type = match &hba {
            Some(_) => "hba",
            None if has_hash || passwords.usable.is_empty() => "md5",
            None => "scram-sha-256",
        };
        let userlist = match passwords.usable.as_slice() {
            [] => Userlist::template(),
            usable => Userlist::of(usable),
        };
        Self { auth_type, rules_are_missing: wants_rules && hba.is_none(), hba, passwords, userlist }
    }

    pub(super) fn write(&self, page: &mut Page, conf: &Conf) {
        if self.rules_are_missing {
            let what = format!("there is no {POOL_HBA}: every client gives a password, from wherever it comes");
            page.change("enable_pool_hba", &what);
        } else if self.hba.is_none() {
            page.change(
                "enable_pool_hba",
                "pgpool-II lets the nodes ask clients for passwords; Howdah asks itself, so it has to know all users",
            );
        }
        page.line(&format!("auth_type = {}", string(self.auth_type)));
        if let Some(rules) = &self.hba {
            page.keep("enable_pool_hba", "auth_hba_file", &string(rules));
        }
        page.change("pool_passwd", &format!("its users are in {USERLIST} now, one a line: \"user\" \"secret\""));
        page.line(&format!("auth_file = {}", string(USERLIST)));
        let password = checks(conf).and_then(|check| conf.text(&format!("{check}_password")));
        if password.is_some_and(|password| password.starts_with(SEALED)) {
            page.ask_for("set `control_password`, which only pgpool-II can decrypt");
        }
        match (self.passwords.usable.is_empty(), self.passwords.sealed.as_slice()) {
            (true, []) => page.ask_for(&format!("list your users in {USERLIST}")),
            (_, []) => {}
            (_, sealed) => page.ask_for(&format!(
                "add to {USERLIST} those whose passwords only pgpool-II can decrypt: {}",
                sealed.join(", ")
            )),
        }
    }

    /// The monitor is whom pgpool-II's own checks log in as.
    pub(super) fn control_user(&self, conf: &Conf) -> ControlUser {
        let Some(check) = checks(conf) else {
            let secrets = self.passwords.usable.iter().map(|(user, secret)| (user.clone(), secret.as_str().into()));
            return ControlUser::among(&secrets.collect(), &[]).unwrap_or_default();
        };
        let find = |what: &str| conf.text(&format!("{check}_{what}"));
        let password = find("password").filter(|password| !password.starts_with(SEALED));
        ControlUser {
            password: password.map(|password| password.strip_prefix("TEXT").unwrap_or(password).to_owned()),
            database: find("database").map(str::to_owned),
            ..ControlUser::new(find("user").unwrap_or_default())
        }
    }
}

/// How a password begins that only pgpool-II can decrypt.
const SEALED: &str = "AES";

/// The first of pgpool-II's checks that has a user.
fn checks(conf: &Conf) -> Option<&'static str> {
    ["sr_check", "health_check"].into_iter().find(|check| conf.text(&format!("{check}_user")).is_some())
}
