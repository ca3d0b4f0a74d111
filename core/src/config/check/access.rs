//! Who may come in: `auth_type` and the files that it needs.

use std::{collections::BTreeMap, path::Path};

use super::super::{
    hba::{self, Hba, Method},
    section::{Context, Section},
    types::{AuthType, Config, Secret, SslMode},
    userlist,
    value::Words,
};

/// Reads the files of secrets and rules. The databases must have been read.
pub(super) fn read(context: &Context<'_>, top: &Section<'_>, config: &mut Config) {
    if let Some(file) = &config.auth_file {
        config.secrets = secrets(context, top, file);
    }
    // An `auth_type` that is not accepted has been reported.
    if top.is_accepted::<AuthType>("auth_type") {
        match config.auth_type.method() {
            Some(method) => one_for_all(top, config, method),
            None => config.hba = rules(context, top, config),
        }
    }
    lookup(top, config);
}

fn secrets(context: &Context<'_>, top: &Section<'_>, file: &Path) -> BTreeMap<String, Secret> {
    let Some(contents) = top.read("auth_file", file) else {
        return BTreeMap::new();
    };
    let (secrets, problems) = userlist::parse(&file.display().to_string(), &contents);
    context.problems.borrow_mut().extend(problems);
    secrets
}

fn one_for_all(top: &Section<'_>, config: &Config, method: Method) {
    let word = config.auth_type.word();
    if method.needs_secret() && !knows_secrets(config) {
        let default = if top.raw("auth_type").is_none() { ", the default," } else { "" };
        top.refuse("auth_type", format!("`auth_type` {word:?}{default} needs `auth_file`, which is not set"));
    }
    if method == Method::Cert && config.client_tls.sslmode < SslMode::VerifyCa {
        top.refuse("auth_type", format!("`auth_type` {word:?} needs `client_tls_sslmode` \"verify-full\""));
    }
}

fn knows_secrets(config: &Config) -> bool {
    config.auth_file.is_some() || config.looks_users_up()
}

fn rules(context: &Context<'_>, top: &Section<'_>, config: &Config) -> Hba {
    let Some(file) = &config.auth_hba_file else {
        top.refuse("auth_type", "`auth_type` \"hba\" needs `auth_hba_file`, which is not set".to_owned());
        return Hba::default();
    };
    let mut maps = BTreeMap::new();
    if let Some(file) = &config.auth_ident_file
        && let Some(contents) = top.read("auth_ident_file", file)
    {
        let (read, problems) = hba::maps(&file.display().to_string(), &contents);
        context.problems.borrow_mut().extend(problems);
        maps = read;
    }
    let Some(contents) = top.read("auth_hba_file", file) else { return Hba::default() };
    let (hba, problems) = hba::rules(file, &contents, &maps, context.read);
    context.problems.borrow_mut().extend(problems);
    if let Some(rule) = hba.rules.iter().find(|rule| rule.method.needs_secret())
        && !knows_secrets(config)
    {
        let message = format!(
            "`auth_hba_file`: the rule in line {} asks for a password and needs `auth_file`, which is not set",
            rule.line
        );
        top.refuse("auth_hba_file", message);
    }
    if let Some(rule) = hba.rules.iter().find(|rule| rule.method == Method::Cert)
        && (config.client_tls.sslmode == SslMode::Disable || config.client_tls.ca_file.is_none())
    {
        let message = format!(
            "`auth_hba_file`: the rule in line {} asks for a certificate and needs `client_tls_sslmode` and \
             `client_tls_ca_file`",
            rule.line
        );
        top.refuse("auth_hba_file", message);
    }
    hba
}

/// `auth_dbname` must lead somewhere.
fn lookup(top: &Section<'_>, config: &Config) {
    if let Some(name) = &config.auth_dbname
        && !config.databases.contains_key(name)
        && !config.databases.contains_key("*")
    {
        top.refuse("auth_dbname", format!("`auth_dbname` is {name:?}, which is not in [databases]"));
    }
}
