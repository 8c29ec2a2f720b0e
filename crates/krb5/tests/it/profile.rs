//! The krb5.conf grammar.

use std::collections::HashMap;

use proptest::prelude::*;
use trihound_krb5::profile::{NoIncludes, ProfileErrorReason as Reason};
use trihound_krb5::{Profile, ProfileError, ProfileSource, WarningReason};

/// Files in memory.
#[derive(Default)]
struct Files(HashMap<String, String>);

impl Files {
    fn with(files: &[(&str, &str)]) -> Self {
        Self(
            files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                .collect(),
        )
    }
}

impl ProfileSource for Files {
    fn read(&self, path: &str) -> Result<String, String> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| "no such file".to_owned())
    }

    fn list(&self, directory: &str) -> Result<Vec<String>, String> {
        let prefix = format!("{}/", directory.trim_end_matches('/'));
        let mut names: Vec<String> = self
            .0
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect();
        // The order of a directory is no order; the worst one shows that nobody relies on it.
        names.sort_unstable();
        names.reverse();
        if names.is_empty() {
            Err("no such directory".to_owned())
        } else {
            Ok(names)
        }
    }
}

fn parse(text: &str) -> Profile {
    Profile::parse(text, &NoIncludes, "krb5.conf").unwrap()
}

fn reason(text: &str) -> (usize, Reason) {
    let error = Profile::parse(text, &NoIncludes, "krb5.conf").unwrap_err();
    assert_eq!(error.file, "krb5.conf");
    (error.line, error.reason)
}

const TYPICAL: &str = "
# a comment
; another
[libdefaults]
\tdefault_realm = EXAMPLE.TEST
    dns_lookup_kdc=false
  # a comment within
[realms]
    EXAMPLE.TEST = {
        kdc = kdc1.example.test
        kdc = kdc2.example.test:750
        admin_server = kdc1.example.test
        v4_instance_convert = {
            mit = mit.edu
        }
    }
    OTHER.TEST =
    {
        kdc = [::1]:88
    }
[domain_realm]
    .example.test = EXAMPLE.TEST
    unknown key with blanks is no key
";

#[test]
fn sections_relations_and_sub_sections() {
    let text = TYPICAL.replace("    unknown key with blanks is no key\n", "");
    let profile = parse(&text.replace('\n', "\r\n"));
    assert_eq!(profile, parse(&text));
    assert_eq!(
        profile.value(&["libdefaults", "default_realm"]),
        Some("EXAMPLE.TEST")
    );
    assert_eq!(
        profile.value(&["libdefaults", "dns_lookup_kdc"]),
        Some("false")
    );
    assert_eq!(profile.value(&["libdefaults", "none"]), None);
    assert_eq!(profile.value(&["none", "default_realm"]), None);
    assert_eq!(profile.value(&[]), None);
    assert_eq!(
        profile.values(&["realms", "EXAMPLE.TEST", "kdc"]),
        ["kdc1.example.test", "kdc2.example.test:750"]
    );
    assert_eq!(
        profile.value(&["realms", "EXAMPLE.TEST", "v4_instance_convert", "mit"]),
        Some("mit.edu")
    );
    assert_eq!(
        profile.value(&["realms", "OTHER.TEST", "kdc"]),
        Some("[::1]:88")
    );
    assert_eq!(
        profile.subsections(&["realms"]),
        ["EXAMPLE.TEST", "OTHER.TEST"]
    );
    assert_eq!(
        profile.relations(&["domain_realm"]),
        [(".example.test", "EXAMPLE.TEST")]
    );
    // A section is no value and a value is no section.
    assert_eq!(profile.value(&["realms", "EXAMPLE.TEST"]), None);
    assert!(
        profile
            .relations(&["libdefaults", "default_realm"])
            .is_empty()
    );
}

#[test]
fn a_line_that_does_not_fit_is_told_by_its_number() {
    assert_eq!(reason(TYPICAL), (23, Reason::RelationSyntax));
    let error = Profile::parse("[a]\nb", &NoIncludes, "some/file").unwrap_err();
    assert_eq!(
        error.to_string(),
        "some/file, line 2: a relation `name = value` was expected; correct that line, nothing of the file \
         is used"
    );
}

#[test]
fn every_break_of_the_grammar_has_its_reason() {
    for (text, line, expected) in [
        ("[libdefaults", 1, Reason::SectionSyntax),
        ("[libdefaults] x", 1, Reason::SectionSyntax),
        ("[s]\n= b", 2, Reason::RelationSyntax),
        ("[s]\na b = c", 2, Reason::RelationSyntax),
        ("[s]\na = {\nb = c\n[t]", 4, Reason::SectionInBraces),
        ("[s]\na =\nb = c", 3, Reason::MissingOpenBrace),
        ("[s]\na =\n", 2, Reason::MissingOpenBrace),
        ("[s]\n}", 2, Reason::ExtraCloseBrace),
        ("[s]\na = {\n}\n}", 4, Reason::ExtraCloseBrace),
        ("[s]\na = {\nb = c\n", 3, Reason::MissingCloseBrace),
    ] {
        assert_eq!(reason(text), (line, expected), "{text:?}");
    }
}

#[test]
fn quoted_values_keep_blanks_and_know_escapes() {
    let profile = parse(
        "[s]\na = \"  b c  \"\nd = \"x\\n\\t\\b\\\\\\\"y\"  \ne = say \"hi\"\nf = \"\"\ng = a # b",
    );
    assert_eq!(profile.value(&["s", "a"]), Some("  b c  "));
    assert_eq!(profile.value(&["s", "d"]), Some("x\n\t\u{8}\\\"y"));
    assert_eq!(profile.value(&["s", "e"]), Some("say \"hi\""));
    assert_eq!(profile.value(&["s", "f"]), Some(""));
    // As in MIT, a comment is a line of its own.
    assert_eq!(profile.value(&["s", "g"]), Some("a # b"));
}

/// As MIT, which stops at the closing quote or at the end of the line.
#[test]
fn a_quoted_value_that_is_not_closed_well_is_taken_and_told() {
    for (line, value) in [
        ("a = \"b", "b"),
        ("a = \"b\" c", "b"),
        ("a = \"b c\\", "b c"),
    ] {
        let profile = parse(&format!("[s]\n{line}\n"));
        assert_eq!(profile.value(&["s", "a"]), Some(value), "{line}");
        let [warning] = profile.warnings() else {
            panic!("{line}: one warning");
        };
        assert_eq!(warning.reason, WarningReason::Quotes);
        assert_eq!(warning.place.to_string(), "krb5.conf, line 2");
    }
}

#[test]
fn sections_of_one_name_are_one() {
    let profile = parse(
        "[realms]\nR = {\nkdc = a\n}\n[libdefaults]\nx = 1\n[realms]\nR = {\nkdc = b\n}\nS = {\n}\n",
    );
    assert_eq!(profile.values(&["realms", "R", "kdc"]), ["a", "b"]);
    assert_eq!(profile.subsections(&["realms"]), ["R", "S"]);
}

#[test]
fn a_final_mark_closes_a_section_or_sub_section_for_later_files() {
    let later = "[s]\na = later\nsub = {\nb = later\n}\n";
    let both = |first: &str| {
        let mut profile = parse(first);
        profile.append(parse(later));
        (
            profile.values(&["s", "a"]).join(","),
            profile.values(&["s", "sub", "b"]).join(","),
        )
    };
    let plain = "[s]\na = first\nsub = {\nb = first\n}\n";
    assert_eq!(both(plain), ("first,later".into(), "first,later".into()));
    assert_eq!(
        both(&plain.replace("[s]", "[s]*")),
        ("first".into(), "first".into())
    );
    assert_eq!(
        both(&plain.replace('}', "}*")),
        ("first,later".into(), "first".into())
    );
    assert_eq!(
        both(&plain.replace("sub", "sub*")),
        ("first,later".into(), "first".into())
    );
    assert_eq!(
        both(&plain.replace("a =", "a* =")),
        ("first".into(), "first,later".into())
    );
}

/// krb5.conf(5) as of release 1.22: in one file as well as in a later one.
#[test]
fn what_is_final_stays_so_within_a_file_and_those_it_includes() {
    let profile = parse(
        "[a]
        ab = 1
        ab* = 2
        ab = 3
        ac* = 1
        [a]
        ac = 2
        ad = 1
        [b]*
        ba = 1
        ba = 2
        bb = {
            bba = 1
        }
        [b]
        ba = 3
        bb = {
            bba = 2
        }
        [c]
        ca* = {
            caa = 1
            caa = 2
        }
        cb = {
            cba = 1
        }*
        ca = {
            caa = 3
            deeper = {
                x = y
            }
        }
        cb = {
            cba = 2
        }
        cc = 1",
    );
    for (path, values) in [
        (&["a", "ab"][..], &["1", "2"][..]),
        (&["a", "ac"], &["1"]),
        (&["a", "ad"], &["1"]),
        (&["b", "ba"], &["1", "2"]),
        (&["b", "bb", "bba"], &["1"]),
        (&["c", "ca", "caa"], &["1", "2"]),
        (&["c", "ca", "deeper", "x"], &[]),
        (&["c", "cb", "cba"], &["1"]),
        (&["c", "cc"], &["1"]),
    ] {
        assert_eq!(profile.values(path), values, "{path:?}");
    }
    let files = Files::with(&[("/d/x", "[s]\na = user\n[t]\nb = user\n")]);
    let text = "[s]*\na = admin\nincludedir /d\nc = admin\n";
    let profile = Profile::parse(text, &files, "f").unwrap();
    assert_eq!(profile.values(&["s", "a"]), ["admin"]);
    assert_eq!(profile.value(&["t", "b"]), Some("user"));
    assert_eq!(profile.value(&["s", "c"]), Some("admin"));
}

#[test]
fn a_relation_says_where_it_stands() {
    let files = Files::with(&[("/d/x", "# comment\n[s]\na = 2\n")]);
    let text = "[s]\n\na = 1\nincludedir /d\nsub = {\n}\n";
    let profile = Profile::parse(text, &files, "main").unwrap();
    let places: Vec<String> = profile
        .content(&["s"])
        .iter()
        .map(|relation| format!("{} {:?} {}", relation.name, relation.value, relation.place))
        .collect();
    assert_eq!(
        places,
        [
            "a Some(\"1\") main, line 3",
            "a Some(\"2\") /d/x, line 3",
            "sub None main, line 5"
        ]
    );
}

#[test]
fn what_stands_before_the_first_section_is_passed_over_and_told() {
    let profile = parse("a = b\nsome words\n}\n[s]\na = c\n");
    assert_eq!(profile.value(&["s", "a"]), Some("c"));
    assert_eq!(profile.warnings().len(), 3);
    assert_eq!(profile.warnings()[0].reason, WarningReason::BeforeSections);
    assert!(profile.warnings()[0].subject.contains("a = b"));
}

#[test]
fn what_stands_behind_a_brace_is_passed_over() {
    let profile = parse("[s]\na =\n{ # begin\nb = c\n} # end\nd = e\n");
    assert_eq!(profile.value(&["s", "a", "b"]), Some("c"));
    assert_eq!(profile.value(&["s", "d"]), Some("e"));
}

#[test]
fn included_files_stand_where_they_are_named() {
    let files = Files::with(&[
        ("/etc/one", "[s]\na = 2\n[t]\nb = x\n"),
        ("/etc/d/10-first", "[s]\na = 4\n"),
        ("/etc/d/20.conf", "[s]\na = 5\n"),
        ("/etc/d/.hidden.conf", "[s]\na = hidden\n"),
        ("/etc/d/backup~", "[s]\na = backup\n"),
        ("/etc/d/x.rpmnew", "[s]\na = new\n"),
    ]);
    let text = "[s]\na = 1\ninclude /etc/one\na = 3\nincludedir /etc/d/\na = 6\n";
    let profile = Profile::parse(text, &files, "krb5.conf").unwrap();
    assert_eq!(profile.values(&["s", "a"]), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(profile.value(&["t", "b"]), Some("x"));
    // Within braces, as MIT has it, they begin outside of any section too.
    let text = "[s]\nsub = {\ninclude /etc/one\nx = y\n}\n";
    let profile = Profile::parse(text, &files, "krb5.conf").unwrap();
    assert_eq!(profile.value(&["s", "sub", "x"]), Some("y"));
    assert_eq!(profile.value(&["s", "a"]), Some("2"));
    // Also before any section, and as a relation's name.
    let profile = Profile::parse("include /etc/one\n[s]\ninclude = y", &files, "f").unwrap();
    assert_eq!(profile.value(&["s", "include"]), Some("y"));
    assert_eq!(profile.value(&["s", "a"]), Some("2"));
}

#[test]
fn an_included_file_begins_outside_of_any_section() {
    let files = Files::with(&[("/etc/one", "a = stray\n[t]\nb = x\n")]);
    let profile = Profile::parse("[s]\ninclude /etc/one\na = own\n", &files, "f").unwrap();
    assert_eq!(profile.values(&["s", "a"]), ["own"]);
    assert_eq!(profile.value(&["t", "b"]), Some("x"));
    assert_eq!(profile.warnings().len(), 1);
}

#[test]
fn files_include_each_other_to_a_bound() {
    let chain = |length: usize| -> Files {
        let mut files = Files::default();
        for number in 1..length {
            let text = format!("include /{}", number + 1);
            files.0.insert(format!("/{number}"), text);
        }
        files
            .0
            .insert(format!("/{length}"), "[s]\na = deep\n".to_owned());
        files
    };
    let parse = |length| Profile::parse("include /1", &chain(length), "f");
    assert_eq!(parse(8).unwrap().value(&["s", "a"]), Some("deep"));
    let error = parse(9).unwrap_err();
    assert_eq!((error.file.as_str(), error.line), ("/8", 1));
    assert_eq!(error.reason, Reason::TooManyIncludes);
}

#[test]
fn an_error_in_an_included_file_is_told_there() {
    let files = Files::with(&[("/etc/one", "[s]\noops\n"), ("/etc/two", "[s]\na = {\n")]);
    let parse = |text: &str| Profile::parse(text, &files, "krb5.conf").unwrap_err();
    assert_eq!(
        parse("include /etc/one"),
        ProfileError {
            file: "/etc/one".into(),
            line: 2,
            reason: Reason::RelationSyntax
        }
    );
    // A brace does not reach over the end of a file.
    assert_eq!(
        parse("[s]\ninclude /etc/two\n}"),
        ProfileError {
            file: "/etc/two".into(),
            line: 2,
            reason: Reason::MissingCloseBrace
        }
    );
    assert_eq!(
        parse("\ninclude /etc/none"),
        ProfileError {
            file: "krb5.conf".into(),
            line: 2,
            reason: Reason::Include {
                path: "/etc/none".into(),
                reason: "no such file".into()
            },
        }
    );
    assert!(matches!(
        parse("includedir /none").reason,
        Reason::Include { path, .. } if path == "/none"
    ));
}

#[test]
fn files_that_include_each_other_come_to_an_end() {
    let files = Files::with(&[("/a", "include /b"), ("/b", "include /a\ninclude /a")]);
    let error = Profile::parse("include /a", &files, "krb5.conf").unwrap_err();
    assert_eq!(error.reason, Reason::TooManyIncludes);
    // Wide instead of deep.
    let files = Files::with(&[("/a", "[s]")]);
    let text = "include /a\n".repeat(1000);
    let error = Profile::parse(&text, &files, "krb5.conf").unwrap_err();
    assert_eq!(error.reason, Reason::TooManyIncludes);
}

#[test]
fn sub_sections_nest_to_a_bound() {
    let nested = |depth: usize| format!("[s]\n{}{}", "a = {\n".repeat(depth), "}\n".repeat(depth));
    assert!(Profile::parse(&nested(15), &NoIncludes, "f").is_ok());
    assert_eq!(reason(&nested(16)), (17, Reason::TooDeep));
    assert_eq!(reason(&nested(100_000)).1, Reason::TooDeep);
}

#[test]
fn modules_are_passed_over_and_told() {
    let profile = parse("module /lib/x.so:y\n[s]\na = b\n");
    assert_eq!(profile.value(&["s", "a"]), Some("b"));
    assert_eq!(
        profile.warnings()[0].to_string(),
        "krb5.conf, line 1: module /lib/x.so:y: modules are not loaded"
    );
}

#[test]
fn a_byte_order_mark_and_an_empty_file_do_no_harm() {
    assert_eq!(parse(""), parse("\n\n# nothing\n"));
    assert_eq!(parse("\u{feff}[s]\na = b").value(&["s", "a"]), Some("b"));
}

proptest! {
    #[test]
    fn any_text_is_a_profile_or_an_error(text in any::<String>()) {
        let _ = Profile::parse(&text, &NoIncludes, "f");
    }

    #[test]
    fn any_lines_are_a_profile_or_an_error(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "[s]", "[s]*", "[t", "a = b", "a* = b", "a = {", "a =", "{", "}", "}*", "# c",
                "include /a", "includedir /d", "module m", "a = \"b\"", "a = \"", "=", "",
            ]),
            0..40,
        ),
    ) {
        let files = Files::with(&[("/a", "[u]\nx = y\n"), ("/d/e", "[s]\na = z")]);
        if let Ok(profile) = Profile::parse(&lines.join("\n"), &files, "f") {
            for section in ["s", "t", "u"] {
                let _ = profile.relations(&[section]);
                for sub in profile.subsections(&[section]) {
                    let _ = profile.values(&[section, sub, "a"]);
                }
            }
        }
    }
}

/// A file of a large site is read in time that grows with its length only.
#[test]
fn the_time_to_read_a_file_grows_with_its_length_only() {
    let count = 30_000;
    let mut text = String::from("[realms]\n");
    for number in 0..count {
        text += &format!("R{number} = {{\nkdc = k{number}\n}}\n");
    }
    text += "[domain_realm]\n";
    for number in 0..2 * count {
        text += &format!("h{number}.example* = R{number}\n");
    }
    text += "[capaths]\nR0 = {\n";
    for number in 0..2 * count {
        text += &format!("S{number} = R{number}\n");
    }
    text += "}\n";
    let begun = std::time::Instant::now();
    let profile = Profile::parse(&text, &NoIncludes, "large").unwrap();
    let mut twice = profile.clone();
    twice.append(profile);
    let config = trihound_krb5::Config::from_profile(&twice).unwrap();
    let taken = begun.elapsed();
    assert_eq!(config.realms.len(), count);
    assert_eq!(config.kdcs("R29999"), ["k29999", "k29999"]);
    assert_eq!(config.realm_of_host("h59999.example"), Some("R59999"));
    assert_eq!(
        config.capath("R0", "S59999"),
        Some(["R59999".to_owned(), "R59999".to_owned()].as_slice())
    );
    assert!(taken < std::time::Duration::from_secs(40), "{taken:?}");
}
