//! Real scripts, run by real processes.

use installer_core::answers::ScriptSource;
use installer_core::values::{Secret, TimeLimit};

use super::*;
use crate::call::Processes;

fn hook(text: &str, on_fail: OnFail) -> Hook {
    let source = ScriptSource::Inline(Secret::new(text));
    Hook { source, timeout: TimeLimit::seconds(60), on_fail }
}

fn run(stage: Stage, hooks: &[Hook]) -> (Result<(), String>, Vec<Event>) {
    let scratch = tempfile::tempdir().unwrap();
    let redactor = Redactor::new([Secret::new("hunter2")]);
    let moment = Moment {
        stage,
        hooks,
        env: vec![("XENHOST_DISK", "/dev/none".into())],
        args: vec!["one".into()],
        redactor: &redactor,
    };
    let mut events = Vec::new();
    let ran = moment.run(&mut Processes, scratch.path(), &mut |event| events.push(event));
    // No script stays behind.
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    (ran.map_err(|error| format!("{error}, exit {}", error.exit().code())), events)
}

fn said(events: &[Event]) -> Vec<&str> {
    let mut said = Vec::new();
    for event in events {
        if let Event::Script(end) = event {
            said.push(end.said.as_str());
        }
    }
    said
}

#[test]
fn a_script_has_a_clean_environment_and_its_words_are_told_without_secrets() {
    let text = "#!/bin/sh\necho \"$1 $#\"; echo hunter2 >&2; pwd; env | sort\ncat\n";
    let (ran, events) = run(Stage::Pre, &[hook(text, OnFail::Abort)]);
    ran.unwrap();
    let said = said(&events).concat();
    let (words, env) = said.split_at(said.find("HOME").unwrap());
    assert_eq!(words, "one 1\n***\n/\n");
    let names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
    let known = ["HOME", "LC_ALL", "PATH", "PWD", "XENHOST_DISK", "XENHOST_STAGE"];
    assert!(known.iter().all(|name| *name == "PWD" || names.contains(name)), "{env}");
    assert!(
        names.iter().all(|name| known.contains(name) || ["_", "OLDPWD", "SHLVL"].contains(name))
    );
    assert!(env.contains("XENHOST_STAGE=pre\n"));
}

#[test]
fn an_interpreter_of_its_own_runs_a_script() {
    let (ran, events) = run(Stage::Pre, &[hook("#!/bin/echo -n\n", OnFail::Abort)]);
    ran.unwrap();
    assert!(said(&events).concat().ends_with("/hook-pre-0 one"), "{events:?}");
}

#[test]
fn the_first_that_fails_ends_the_stage_unless_it_only_warns() {
    let bad = "#!/bin/sh\nexit 3\n";
    let after = hook("#!/bin/sh\necho after\n", OnFail::Abort);
    let (ran, events) = run(Stage::Post, &[hook(bad, OnFail::Warn), after.clone()]);
    ran.unwrap();
    assert_eq!(said(&events), ["", "after\n"]);
    let text = "hooks.post[0] ended with 3".to_owned();
    assert!(events.contains(&Event::Warning { text }));
    let (ran, events) = run(Stage::Post, &[hook(bad, OnFail::Abort), after]);
    assert_eq!(ran.unwrap_err(), "hooks.post[0] ended with 3, exit 22");
    assert_eq!(said(&events).len(), 1);
}

#[test]
fn a_signal_a_missing_program_and_a_time_limit_are_failures() {
    let mut slow = hook("#!/bin/sh\necho begun; sleep 60; echo never\n", OnFail::Abort);
    slow.timeout = TimeLimit::seconds(2);
    for (hook, want) in [
        (hook("#!/bin/sh\nkill -9 $$\n", OnFail::Abort), "was ended by signal: 9 (SIGKILL)"),
        (hook("#!/bin/sh\nno-such-program\n", OnFail::Abort), "ended with 127: a program it names"),
        (slow, "ran for 2s, its time limit, and was ended"),
    ] {
        let (ran, events) = run(Stage::Pre, &[hook]);
        let why = ran.unwrap_err();
        assert!(why.contains(want) && why.ends_with("exit 22"), "{why}");
        if want.contains("limit") {
            assert_eq!(said(&events), ["begun\n"]);
        }
    }
}

#[test]
fn what_cannot_run_is_known_before() {
    let mut hooks = Hooks::default();
    hooks.push(Stage::Pre, hook("#! /bin/sh -e\n", OnFail::Warn));
    check(&hooks).unwrap();
    let python = hook("#!/opt/no-such-python\n", OnFail::Warn);
    hooks.push(Stage::Failed, python);
    let error = check(&hooks).unwrap_err();
    assert_eq!(error.exit(), Exit::BadAnswers);
    assert!(error.to_string().starts_with("hooks.failed[0]: its interpreter /opt/no-such-python"));
    let source = ScriptSource::File { path: "/x".to_owned(), sha256: None };
    let mut hooks = Hooks::default();
    hooks.push(Stage::Pre, Hook { source, ..hook("", OnFail::Warn) });
    assert_eq!(check(&hooks).unwrap_err().to_string(), "hooks.pre[0]: its text was not fetched");
}
