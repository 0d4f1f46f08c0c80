use super::*;
use proptest::prelude::*;

/// Returns the members as `key:value`, and the flaws.
fn read(text: &str) -> (Vec<String>, Vec<&'static str>) {
    let bump = Bump::new();
    let mut pairs = Vec::new();
    let flaws = members(text.as_bytes(), &mut KeyOrder::default(), &bump, &mut pairs);
    let show = |value: Value| match value {
        Value::Text(text) => String::from_utf8_lossy(text.decode(&bump)).into_owned(),
        Value::Nested(raw) => format!("<{}>", String::from_utf8_lossy(raw)),
        other => format!("{other:?}"),
    };
    let pairs =
        pairs.iter().map(|pair| format!("{}:{}", String::from_utf8_lossy(pair.key), show(pair.value))).collect();
    (pairs, flaws.iter().map(Flaw::name).collect())
}

#[test]
fn members_keep_their_order_and_their_kind() {
    let (pairs, flaws) = read(r#" {"b":"x\u00e9","a":-1.5e3,"a":true, "n":null,"o":{"p":["}"]},"l":[1,2]} "#);
    assert_eq!(pairs, ["b:xé", "a:-1.5e3", "a:Bool(true)", "n:Null", r#"o:<{"p":["}"]}>"#, "l:<[1,2]>"]);
    assert!(flaws.is_empty());
}

#[test]
fn what_was_read_before_the_damage_is_kept() {
    assert_eq!(read(r#"{"msg":"long te"#), (vec!["msg:long te".into()], vec!["bad-json"]));
    assert_eq!(read(r#"{"a":"1","b":{"c":"#), (vec!["a:1".into(), r#"b:{"c":"#.into()], vec!["bad-json"]));
    assert_eq!(read(r#"{"a":"1"}{"b":"2"}"#), (vec!["a:1".into(), r#"rest:{"b":"2"}"#.into()], vec!["bad-json"]));
    assert_eq!(read(r#"{"a":01}"#), (vec![], vec!["bad-json"]));
    assert_eq!(read("{}"), (vec![], vec![]));
    assert_eq!(read("{} x"), (vec![], vec!["bad-json"]));
}

#[test]
fn white_space_may_stand_anywhere() {
    let wanted = (vec!["a:1".to_owned(), "b:2".to_owned()], vec![]);
    for text in [r#"{"a":"1","b":"2"}"#, "\t{ \"a\" :\n\"1\" ,\"b\":\r\"2\" } ", "{\"a\":\"1\", \"b\":\"2\"\n}"] {
        assert_eq!(read(text), wanted, "{text:?}");
    }
}

proptest! {
    #[test]
    fn valid_objects_read_as_serde_json_reads_them(
        object in prop::collection::btree_map(".{0,12}", prop_oneof![
            ".{0,40}".prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
            prop::collection::vec(".{0,6}", 0..4).prop_map(serde_json::Value::from),
        ], 0..8),
    ) {
        let object: serde_json::Map<_, _> = object.into_iter().collect();
        let text = serde_json::to_string(&object).unwrap();
        let bump = Bump::new();
        let mut pairs = Vec::new();
        let flaws = members(text.as_bytes(), &mut KeyOrder::default(), &bump, &mut pairs);
        prop_assert!(!flaws.has(Flaw::BadJson) && !flaws.has(Flaw::BadEscape));
        prop_assert_eq!(pairs.len(), object.len());
        for (pair, (key, value)) in pairs.iter().zip(&object) {
            prop_assert_eq!(pair.key, key.as_bytes());
            match pair.value {
                Value::Text(text) => {
                    let content = std::str::from_utf8(text.decode(&bump)).unwrap();
                    let wanted = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    prop_assert_eq!(wanted, content);
                }
                Value::Nested(raw) => prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(raw).unwrap(), value),
                Value::Bool(bool) => prop_assert_eq!(Some(bool), value.as_bool()),
                Value::Null => prop_assert!(value.is_null()),
                _ => prop_assert!(false),
            }
        }
    }
}
