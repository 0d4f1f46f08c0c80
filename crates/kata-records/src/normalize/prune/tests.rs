use super::*;

fn prune(patterns: &[&str]) -> Prune {
    Prune::new(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn action(prune: &Prune, key: &str) -> PruneAction {
    prune.action(key.as_bytes())
}

fn descend(prune: &Prune, key: &str, nested: &str) -> Option<String> {
    prune.descend(key.as_bytes(), nested.as_bytes()).unwrap().map(|left| String::from_utf8(left).unwrap())
}

#[test]
fn a_key_goes_whole_or_only_where_nested() {
    let prune = prune(&["req", "endpoint.*", "!endpoint2.*", "odd key.*"]);
    assert_eq!(action(&prune, "req"), PruneAction::Remove);
    assert_eq!(action(&prune, "endpoint"), PruneAction::RemoveIfNested);
    assert_eq!(action(&prune, "odd key"), PruneAction::RemoveIfNested);
    assert_eq!(action(&prune, "msg"), PruneAction::Keep);
    assert_eq!(action(&prune, "unknown"), PruneAction::Keep);
}

#[test]
fn the_last_pattern_decides() {
    let prune = prune(&["endpoint.*", "!endpoint.Type", "!endpoint.Deep.Keep"]);
    assert_eq!(action(&prune, "endpoint"), PruneAction::Descend);
    assert_eq!(
        descend(&prune, "endpoint", r#"{"Type":"virtual","Deep":{"Keep":1,"Drop":2},"X":[1]}"#).as_deref(),
        Some(r#"{"Type":"virtual","Deep":{"Keep":1}}"#)
    );
    assert_eq!(descend(&prune, "endpoint", r#"{"X":1}"#), None);
}

#[test]
fn a_star_is_any_one_segment() {
    let prune = prune(&["*.Statistics", "list.0"]);
    assert_eq!(descend(&prune, "a", r#"{"Statistics":{"x":1},"b":1}"#).as_deref(), Some(r#"{"b":1}"#));
    assert_eq!(descend(&prune, "list", r#"[1,2]"#).as_deref(), Some("[2]"));
}

#[test]
fn an_empty_segment_is_refused() {
    assert_eq!(Prune::new(&["a..b".to_owned()]).unwrap_err(), SettingsError::Prune("a..b".to_owned()));
}
