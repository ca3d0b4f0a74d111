//! pgpool-II names functions, databases and applications by regular expressions, our policy by names in
//! which `*` stands for any text. What can be said in both is translated; the rest is left to a human.

/// The most names that one expression may stand for.
const NAMES_MAX: usize = 64;

/// The names and patterns that an expression stands for; `None` when there is no saying it so.
///
/// A dot on its own is taken for itself: in a list of functions it nearly always parts a schema from a name.
pub(super) fn names(expression: &str) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for branch in expression.split('|') {
        let branch = branch.strip_prefix('^').unwrap_or(branch);
        let branch = branch.strip_suffix('$').unwrap_or(branch);
        all.extend(branch_names(branch)?);
    }
    (all.len() <= NAMES_MAX).then_some(all)
}

fn branch_names(branch: &str) -> Option<Vec<String>> {
    let mut names = vec![String::new()];
    let mut rest = branch;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        let choices: Vec<String> = match letter {
            '.' if rest.starts_with('*') => {
                rest = &rest[1..];
                vec!["*".to_owned()]
            }
            '[' => {
                let (class, after) = rest.split_once(']')?;
                rest = after;
                class_letters(class)?.into_iter().map(String::from).collect()
            }
            '\\' => {
                let escaped = rest.chars().next().filter(|c| c.is_ascii_punctuation() && *c != '*')?;
                rest = &rest[escaped.len_utf8()..];
                vec![escaped.to_string()]
            }
            '*' | '+' | '?' | '(' | ')' | '{' | '}' | '^' | '$' => return None,
            letter => vec![letter.to_string()],
        };
        // A letter that is repeated is none that could be said.
        if rest.starts_with(['*', '+', '?', '{']) || names.len() * choices.len() > NAMES_MAX {
            return None;
        }
        names = names.iter().flat_map(|name| choices.iter().map(move |choice| format!("{name}{choice}"))).collect();
    }
    Some(names).filter(|names| names.iter().all(|name| !name.is_empty()))
}

/// The letters between brackets.
fn class_letters(class: &str) -> Option<Vec<char>> {
    let mut letters = Vec::new();
    let mut rest = class.chars().peekable();
    while let Some(from) = rest.next() {
        if !from.is_ascii_alphanumeric() && from != '_' {
            return None;
        }
        if rest.peek() != Some(&'-') {
            letters.push(from);
            continue;
        }
        rest.next();
        let to = rest.next().filter(|to| to.is_ascii_alphanumeric() && from <= *to)?;
        letters.extend(from..=to);
    }
    Some(letters).filter(|letters| !letters.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simple_expressions_are_names_and_patterns() {
        let table: [(&str, &[&str]); 9] = [
            ("nextval", &["nextval"]),
            ("^get_.*$", &["get_*"]),
            ("mydb[01]", &["mydb0", "mydb1"]),
            ("mydb[0-2]x", &["mydb0x", "mydb1x", "mydb2x"]),
            ("a|b.*", &["a", "b*"]),
            ("public.f", &["public.f"]),
            (r"public\.f", &["public.f"]),
            ("my app", &["my app"]),
            (".*", &["*"]),
        ];
        for (expression, expected) in table {
            assert_eq!(names(expression).as_deref(), Some(&expected.map_strings()[..]), "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_not_guessed() {
        for expression in
            ["", "a+", "(a)", "a?", "ab*", "[^a]", "[a", "a[", r"\d", r"a\", "[b-a]", "a{2}", "[a-z][a-z]"]
        {
            assert_eq!(names(expression), None, "{expression}");
        }
    }

    trait MapStrings {
        fn map_strings(&self) -> Vec<String>;
    }

    impl MapStrings for &[&str] {
        fn map_strings(&self) -> Vec<String> {
            self.iter().map(|name| name.to_string()).collect()
        }
    }
}
