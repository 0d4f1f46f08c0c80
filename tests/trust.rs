//! No text of a guest, a container or a local user becomes the host's word.

mod containers;
mod places;
mod records;
mod routes;
mod texts;

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::cases;
use crate::support::pipeline::{Record, Setup};
use places::Place;
use routes::Route;

/// Entries of other programs pass too, so that every entry has a record.
static PASSING: LazyLock<Setup> = LazyLock::new(|| Setup::new(&["--others=pass"]));

static TEXTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(texts::all);

/// The number of problems in a message.
const SHOWN: usize = 10;

/// A text that claims nothing. Even as the rest of a line, it is recognized as Kata's.
const HARMLESS: &[u8] = b"x name=kata-proxy";

/// Checks texts at a place: each entry has one record, the text changes no word of the host in its record, and nothing in
/// the next one. Returns the
/// problems.
fn problems(route: Route, place: Place, texts: &[&[u8]]) -> Vec<String> {
    let mut all = vec![HARMLESS];
    // In a file of mixed forms, a rest that begins like an entry of another form has its envelope, as docs/trust.md says.
    let is_mixed =
        matches!(route, Route::Cat | Route::File) && matches!(place, Place::UnmarkedRest | Place::UnmarkedRestOfObject);
    let opens_another = |text: &[u8]| is_mixed && texts::begins_envelope(text);
    all.extend(texts.iter().filter(|text| place.can_hold(text) && !opens_another(text)));
    let each = place.entries_and_next(HARMLESS, 0).len();
    let records = route.records(place, &all, &PASSING);
    if records.len() != each * all.len() {
        let alone = |text: &&&[u8]| route.records(place, &[text], &PASSING).len() != each;
        let text = all.iter().find(alone).map(|text| shortened(text));
        return vec![format!(
            "{route:?} {place:?}: {} records of {} entries: {text:?}",
            records.len(),
            each * all.len()
        )];
    }
    let records: Vec<&[Record]> = records.chunks(each).map(|records| &records[each - 2..]).collect();
    let judged = all.iter().zip(&records).map(|(text, records_of_text)| {
        let (record, next) = (&records_of_text[0], &records_of_text[1]);
        let problem = judge(route, place, text, record, &records[0][0])
            .or_else(|| (*next != records[0][1]).then(|| format!("the next entry differs: {next:?}")))?;
        let fields = record.0.iter().filter(|(key, _)| key.starts_with("kata_"));
        let fields: Vec<String> = fields.map(|(key, value)| format!("{key}={value:.60}")).collect();
        Some(format!("{route:?} {place:?}: {problem}\n  text: {}\n  record: {}", shortened(text), fields.join(" ")))
    });
    judged.flatten().collect()
}

fn shortened(text: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(text).chars().take(300).collect();
    format!("{text:?}")
}

/// Compares the record of a text with the record of a harmless one in its place. Returns the first problem.
fn judge(route: Route, place: Place, text: &[u8], record: &Record, harmless: &Record) -> Option<String> {
    let origin = record.text("kata_origin").unwrap_or_default();
    // The agent could print the texts of runtime-rs about its connection, so they prove nothing.
    let of_runtime_rs = matches!(place, Place::NativeAgent | Place::SlogAgent)
        && [&b"try to connect"[..], b"hybrid vsock: "].iter().any(|head| text.starts_with(head));
    let expected: &[&str] = match place {
        _ if of_runtime_rs => &["unproven"],
        // In a copy without `_UID`, text that says that it is a guest's is taken as such.
        Place::UnmarkedRest | Place::UnmarkedRestOfObject | Place::MarkedRest if route.is_copy() => {
            &["unproven", "guest"]
        }
        // Without its identifier, the line of k0s itself is the host's.
        Place::RestBehindK0s if route.is_copy() => &["unproven", "guest", "vouched"],
        _ if place.origin() == "host" && !route.is_journal() => &["vouched"],
        _ => &[place.origin()],
    };
    if !expected.contains(&origin) {
        return Some(format!("the origin is {origin}, not {expected:?}"));
    }
    if record.get("kata_guest").is_some() != (origin == "guest") {
        return Some("kata_guest differs from the origin".to_owned());
    }
    let writers: &[Option<&str>] = match (origin, place) {
        ("guest", Place::SlogStream) => &[Some("guest-console"), Some("guest-kernel")],
        ("guest", Place::PeerPod) => &[Some("agent")],
        ("guest", _) => &[Some("agent"), Some("guest-kernel"), Some("guest-console")],
        ("unproven", _) => &[Some("unknown"), None],
        _ => &[None],
    };
    let component = record.text("kata_component");
    let is_known = if matches!(origin, "host" | "vouched") && component.is_some() {
        component == harmless.text("kata_component")
    } else {
        writers.contains(&component)
    };
    if !is_known {
        return Some(format!("the component is {component:?}"));
    }
    for (key, value) in record.0.iter().filter(|(key, _)| is_of_host(key)) {
        // A guest's field takes the name of the host's, which then has a name of its own.
        let own = key.strip_prefix("kata_host_").map(|name| format!("kata_{name}"));
        let known =
            [Some(key.as_str()), own.as_deref()].into_iter().flatten().any(|name| harmless.get(name) == Some(value));
        if !known {
            return Some(format!("{key} is not the host's"));
        }
    }
    let is_kata = |key: &str| component.is_some() || !key.starts_with("kata_");
    for (key, value) in harmless.0.iter().filter(|(key, _)| is_of_host(key) && is_kata(key)) {
        let kept = record.get(key) == Some(value);
        let restored = record.get(&key.replacen("kata_host_", "kata_", 1)) == Some(value);
        if !kept && !restored {
            return Some(format!("{key} is lost"));
        }
    }
    None
}

/// Returns whether a field may hold only the host's words. The message repeats the text.
fn is_of_host(key: &str) -> bool {
    let of_envelope = !key.starts_with("kata_") && !matches!(key, "MESSAGE" | "ERROR" | "_STREAM_ID");
    of_envelope || matches!(key, "kata_sandbox" | "kata_pid" | "kata_time") || key.starts_with("kata_host_")
}

/// Checks the texts of the table at a place on every route.
#[track_caller]
fn check_everywhere(place: Place) {
    let texts: Vec<&[u8]> = TEXTS.iter().map(Vec::as_slice).collect();
    let routes: Vec<Route> = Route::ALL.into_iter().filter(|route| route.takes(place)).collect();
    assert!(!routes.is_empty(), "{place:?} is on no route");
    let problems: Vec<String> = routes.into_iter().flat_map(|route| problems(route, place, &texts)).collect();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems[..problems.len().min(SHOWN)].join("\n"));
}

macro_rules! everywhere {
    ($($name:ident: $place:ident;)+) => {
        $(#[test]
        fn $name() {
            check_everywhere(Place::$place);
        })+

        #[test]
        fn every_place_is_checked() {
            assert_eq!([$(Place::$place),+], Place::ALL);
        }
    };
}

everywhere! {
    text_on_the_console_of_the_shim: ShimConsole;
    text_on_the_console_in_a_managers_output: ShimConsoleOfManager;
    text_on_the_console_in_journal_fields: NativeConsole;
    text_on_the_console_in_slog: SlogConsole;
    text_on_a_stream_of_the_hypervisor: SlogStream;
    text_of_the_agent_in_journal_fields: NativeAgent;
    text_of_the_agent_in_slog: SlogAgent;
    text_of_the_guests_kernel_in_journal_fields: NativeKernel;
    text_of_the_guests_kernel_in_slog: SlogKernel;
    text_behind_the_proxy: Proxy;
    text_of_a_peer_pod: PeerPod;
    text_in_the_unmarked_rest_of_a_line: UnmarkedRest;
    text_in_the_unmarked_rest_of_an_object: UnmarkedRestOfObject;
    text_in_the_marked_rest_of_a_line: MarkedRest;
    text_of_a_local_user: LocalUser;
    text_of_a_local_service: LocalService;
    text_of_a_local_user_in_journal_fields: NativeLocalUser;
    text_in_a_value_of_the_shim: ShimValue;
    text_in_a_value_of_runtime_rs: NativeValue;
    text_on_the_console_behind_k0s: ConsoleBehindK0s;
    text_in_the_rest_of_a_line_behind_k0s: RestBehindK0s;
    text_in_a_value_of_an_unnamed_shim: UnnamedShimValue;
    text_of_a_container: Container;
}

#[test]
fn an_entry_in_a_managers_file_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"time=\"2024-03-05T05:01:54Z\" level=error msg=forged name=containerd-shim-v2 pid=666 sandbox=evil source=virtcontainers"#;
    let entry = format!(
        r#"{{"__REALTIME_TIMESTAMP":"1709614914163108","_UID":"0","_TRANSPORT":"stdout","SYSLOG_IDENTIFIER":"kata","MESSAGE":"{line}"}}"#
    );
    let whole = line.replace("\\\"", "\"");
    let path = crate::support::write_file(folder.path(), "containerd.log", format!("{whole}\n{entry}\n"));
    let output = crate::support::katalog().arg(path).output().unwrap();
    let found = crate::support::pipeline::records(&output.stdout);
    let of = |key: &str| found.iter().map(|record| record.text(key)).collect::<Vec<_>>();
    assert_eq!(of("kata_origin"), [Some("vouched"), Some("unproven")]);
    assert_eq!(of("kata_sandbox"), [Some("evil"), None]);
    assert_eq!(of("kata_component"), [Some("shimv2"), Some("unknown")]);
}

/// Generates texts of pieces of the table, keys of the host, and any bytes.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let of_table =
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..80_usize).prop_map(|(text, at, size)| {
            let text = &TEXTS[text.index(TEXTS.len())];
            let at = at.index(text.len() + 1);
            text[at..text.len().min(at + size)].to_vec()
        });
    let key = prop::sample::select(vec![
        "time=\"1999-01-01T00:00:00Z\" level=",
        "{\"msg\":\"",
        "\",\"source\":\"evil",
        " sandbox=evil",
        " pid=666",
        " kata_sandbox=evil",
        " host_pid=666",
        " ID=evil vm=x sandbox=x",
        " name=kata-runtime",
        " runtime=io.containerd.kata.v2",
        " path=/run/evil",
        "\"",
        "\\",
        "\\\\",
        "\u{feff}",
        "\t",
        "}",
    ]);
    let piece = prop_oneof![
        4 => of_table,
        4 => key.prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn any_text_stays_in_its_place(
        text in hostile(),
        place in prop::sample::select(Place::ALL.to_vec()),
        route in prop::sample::select(vec![
            Route::Json, Route::JsonWithoutUser, Route::JsonAmongText, Route::Export, Route::Short, Route::Cat, Route::CriOnStdin, Route::DockerOnStdin,
        ]),
    ) {
        if route.takes(place) {
            let problems = problems(route, place, &[&text]);
            prop_assert!(problems.is_empty(), "{}", problems.join("\n"));
        }
    }
}

/// Returns the value of a field as text.
fn shown(record: &Record, key: &str) -> String {
    match record.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "-".to_owned(),
    }
}
