use super::*;

const OTHERS: [Schema; 2] = [Schema::Ecs, Schema::Otel];

#[test]
fn every_row_is_about_a_field_that_there_is() {
    let names = |rows: &'static [KnownKey]| rows.iter().map(|known| known.key).collect::<Vec<_>>();
    for row in PAYLOAD {
        assert!(names(dictionary::payload_keys()).contains(&row.from), "{}", row.from);
    }
    for row in ENVELOPE {
        assert!(
            names(dictionary::envelope_keys()).contains(&row.from) || CONTAINER.contains(&row.from),
            "{}",
            row.from
        );
    }
    assert!(CONTAINER.iter().all(|name| ENVELOPE.iter().any(|row| row.from == *name)));
}

#[test]
fn no_name_is_taken_twice_or_an_object_of_another() {
    for schema in [Schema::Kata, Schema::Ecs, Schema::Otel] {
        let fields = schema.fields();
        for (index, (name, _)) in fields.iter().enumerate() {
            assert!(fields.iter().skip(index + 1).all(|(other, _)| other != name), "{name}");
            assert!(fields.iter().all(|(other, _)| !other.starts_with(&format!("{name}."))), "{name}");
        }
    }
    // Only the times of receipt share a name.
    for schema in OTHERS {
        let rows = PAYLOAD.iter().chain(ENVELOPE).chain(&DERIVED).filter(|row| row.from != "time");
        let mut names: Vec<_> = rows.filter_map(|row| schema.field_name(row)).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}

#[test]
fn users_names_are_not_those_of_the_schema() {
    for name in ["message", "host", "host.name", "host.name.x", "kata", "kata.x", "journald.x", "ecs.version", "log"] {
        assert!(Schema::Ecs.reserves(name), "{name}");
    }
    for name in ["tag", "event.id", "hostname", "kata_x", "messages", "labels.tag"] {
        assert!(!Schema::Ecs.reserves(name), "{name}");
    }
    assert!(Schema::Otel.reserves("Body") && Schema::Otel.reserves("journald.cursor"));
    assert!(!Schema::Kata.reserves("host.name"));
    assert_eq!((Schema::Kata.user("a.b"), Schema::Ecs.user("a.b")), ("a_b".to_owned(), "a.b".to_owned()));
}
