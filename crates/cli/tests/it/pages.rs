//! Completions and manual pages, which come from the definitions of the command line itself.

use std::collections::BTreeSet;
use std::fs;

use crate::Scratch;

/// The tools as `--help` lists them.
fn tools(scratch: &Scratch) -> BTreeSet<String> {
    let help = scratch.run(&["--help"]).said().to_owned();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    commands
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|tool| *tool != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_shell_completes_every_tool() {
    let scratch = Scratch::new();
    let tools = tools(&scratch);
    for tool in [
        "kinit", "klist", "kvno", "kdestroy", "kswitch", "ktutil", "man",
    ] {
        assert!(tools.contains(tool), "{tools:?}");
    }
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = scratch.run(&["completions", shell]).said().to_owned();
        for tool in &tools {
            assert!(script.contains(tool.as_str()), "{shell}: {tool}");
        }
    }
}

#[test]
fn every_tool_has_a_page_with_all_of_its_options() {
    let scratch = Scratch::new();
    let pages = scratch.path().join("made/man");
    scratch.run(&["man", "made/man"]).said();
    let read = |page: &str| {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        // roff's escapes of hyphens and of font changes
        text.replace("\\-", "-")
            .replace("\\fB", "")
            .replace("\\fR", "")
    };
    let overview = read("trihound.1");
    assert!(overview.contains(".TH trihound 1"), "{overview}");
    for tool in tools(&scratch) {
        assert!(overview.contains(&format!("trihound-{tool}")), "{tool}");
        let page = read(&format!("trihound-{tool}.1"));
        assert!(page.contains(&format!(".TH trihound-{tool} 1")), "{page}");
        let help = scratch.run(&[&tool, "--help"]).said().to_owned();
        let options = help
            .lines()
            .filter_map(|line| line.trim_start().split([' ', ',']).next())
            .filter(|word| word.starts_with('-'));
        for option in options {
            assert!(page.contains(option), "{tool} {option}: {page}");
        }
    }
    assert!(read("trihound-kinit.1").contains("KRB5CCNAME"));
    // Tools with tools of their own.
    assert!(read("trihound-ktutil.1").contains("trihound-ktutil-merge(1)"));
    assert!(read("trihound-ktutil-merge.1").contains(".TH trihound-ktutil-merge 1"));
    let all = scratch.run(&["man", "-"]).said().to_owned();
    assert_eq!(all, scratch.run(&["man"]).said());
    assert!(all.contains(".TH trihound-kswitch 1"));
    fs::write(scratch.path().join("file"), "").unwrap();
    scratch
        .run(&["man", "file/man1"])
        .refused(1, "man: file/man1: ");
}
