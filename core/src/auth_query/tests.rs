use std::sync::Arc;

use super::*;

fn config(auth: (&str, &str), databases: &[(&str, Database)]) -> Config {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (auth_user, auth_dbname) = (some(auth.0), some(auth.1));
    let databases = databases.iter().map(|(name, entry)| ((*name).to_owned(), Arc::new(entry.clone()))).collect();
    Config { auth_user, auth_dbname, auth_query: "general".to_owned(), databases, ..Config::default() }
}

fn asks(user: Option<&str>, query: Option<&str>, dbname: Option<&str>) -> Database {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Database { auth_user: owned(user), auth_query: owned(query), auth_dbname: owned(dbname), ..Database::default() }
}

/// Database, user and query of the question about this database's users.
fn question<'a>(config: &'a Config, database: Option<&'a str>) -> Option<(&'a str, &'a str, &'a str)> {
    Question::about(config, database).map(|asked| (asked.database, asked.auth_user, asked.query))
}

#[test]
fn users_are_looked_up_where_their_database_says_or_where_all_are() {
    let databases = [
        ("app", Database::default()),
        ("own", asks(Some("ann"), Some("special"), Some("app"))),
        ("*", asks(None, Some("others"), None)),
    ];
    let here = config(("bouncer", ""), &databases);
    assert_eq!(question(&here, Some("app")), Some(("app", "bouncer", "general")));
    assert_eq!(question(&here, Some("own")), Some(("app", "ann", "special")));
    assert_eq!(question(&here, Some("new")), Some(("new", "bouncer", "others")));
    assert_eq!(question(&here, None), None, "the console has no database to ask in");

    let central = config(("bouncer", "app"), &databases);
    assert_eq!(question(&central, Some("new")), Some(("app", "bouncer", "others")));
    assert_eq!(question(&central, None), Some(("app", "bouncer", "general")));

    let nobody = config(("", "app"), &databases);
    assert_eq!(question(&nobody, Some("app")), None);
    assert_eq!(question(&nobody, Some("own")), Some(("app", "ann", "special")));

    let listed = config(("bouncer", ""), &databases[..1]);
    assert_eq!(question(&listed, Some("missing")), None, "a database that is not there has no users");
}

#[test]
fn an_answer_is_one_row_about_that_user() {
    let row = |values: &[Option<&str>]| Row(values.iter().map(|value| value.map(str::to_owned)).collect());
    let found = |rows: &[Row]| secret_of("ann", rows);

    assert_eq!(found(&[]), Ok(None));
    assert_eq!(found(&[row(&[Some("ann"), Some("x")])]), Ok(Some(Secret::Plain("x".into()))));
    let md5 = "md5900150983cd24fb0d6963f7d28e17f72";
    assert_eq!(found(&[row(&[Some("ann"), Some(md5)])]), Ok(Some(Secret::parse(md5))));
    assert_eq!(found(&[row(&[Some("ann"), None])]), Ok(Some(Secret::Plain("".into()))), "no password is right");
    assert_eq!(found(&[row(&[None, Some("x")])]), Ok(None));
    assert_eq!(found(&[row(&[Some("an"), Some("x")])]), Ok(None), "it is somebody else's");
    assert!(found(&[row(&[Some("ann")])]).is_err());
    assert!(found(&[row(&[Some("ann"), Some("x")]), row(&[Some("ann"), Some("y")])]).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_finding_is_believed_for_a_while_in_its_generation_unless_it_fails() {
    let mut findings = Findings::default();
    let (ann, secret) = (Subject::new(Some("app"), "ann"), Some(Secret::Plain("x".into())));
    let finding = || Finding { generation: 7, at: Instant::now(), secret: secret.clone() };
    findings.keep(ann.clone(), finding());
    let believed =
        |findings: &Findings, subject: &Subject, generation| findings.believed(subject, generation, Instant::now());

    assert_eq!(believed(&findings, &ann, 7), Some(secret.clone()));
    assert_eq!(believed(&findings, &ann, 8), None, "the configuration has changed");
    assert_eq!(believed(&findings, &Subject::new(Some("app"), "bob"), 7), None);
    assert_eq!(believed(&findings, &Subject::new(None, "ann"), 7), None);

    findings.forget(&ann);
    assert_eq!(believed(&findings, &ann, 7), None);

    findings.keep(ann.clone(), finding());
    tokio::time::advance(BELIEVED_FOR).await;
    assert_eq!(believed(&findings, &ann, 7), None, "it may have changed at the servers");
}

#[tokio::test(start_paused = true)]
async fn findings_are_bounded() {
    let mut findings = Findings::default();
    let finding = || Finding { generation: 1, at: Instant::now(), secret: None };
    for number in 0..2 * KEPT_MAX {
        findings.keep(Subject::new(None, &number.to_string()), finding());
    }
    assert_eq!((findings.by_subject.len(), findings.order.len()), (KEPT_MAX, KEPT_MAX));
    for _ in 0..2 * KEPT_MAX {
        findings.forget(&Subject::new(None, "again"));
        findings.keep(Subject::new(None, "again"), finding());
    }
    assert!(findings.order.len() <= KEPT_MAX);

    tokio::time::advance(BELIEVED_FOR).await;
    findings.keep(Subject::new(None, "last"), finding());
    assert_eq!((findings.by_subject.len(), findings.order.len()), (1, 1), "what is old is not kept");
}
