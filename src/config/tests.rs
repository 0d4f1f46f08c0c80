use std::ffi::OsString;
use std::path::Path;

use kata_records::{FieldSettings, Format, TimeFormat};

use super::*;

const NOWHERE: Surroundings = Surroundings {
    colors: false,
    pages: false,
    unicode: false,
    error_terminal: false,
    screen: false,
    output: StandardOutput::File,
    columns: None,
    cores: 4,
};
const TERMINAL: Surroundings = Surroundings {
    colors: true,
    pages: true,
    unicode: true,
    error_terminal: true,
    screen: true,
    output: StandardOutput::Terminal,
    columns: Some(80),
    cores: 4,
};

const COMMANDS: [Command; 5] = [Command::Print, Command::Ship, Command::Convert, Command::Check, Command::Schema];

/// Returns the values of flags such as `format=text`; a list is separated by commas.
fn flags(arguments: &[&str]) -> Values {
    let flag = |argument: &&str| {
        let (name, value) = argument.split_once('=').unwrap_or((argument, "true"));
        let declaration = named(name).unwrap().declaration();
        (declaration.name, declaration.split(&OsString::from(value)))
    };
    arguments.iter().map(flag).collect()
}

fn options(command: Command, arguments: &[&str], file: &str) -> Result<Options, ConfigError> {
    let file = super::file::parse(file, Path::new("k.toml"))?;
    let layers = Layers { flags: flags(arguments), variables: Values::new(), file, path: Some("k.toml".into()) };
    Options::new(command, Vec::new(), layers)
}

fn config_in(command: Command, arguments: &[&str], file: &str, surroundings: Surroundings) -> Config {
    Config::new(&options(command, arguments, file).unwrap(), surroundings).unwrap()
}

fn config(command: Command, arguments: &[&str], file: &str) -> Config {
    config_in(command, arguments, file, NOWHERE)
}

fn refused(command: Command, arguments: &[&str], file: &str) -> String {
    let refused = options(command, arguments, file).and_then(|options| Config::new(&options, NOWHERE));
    refused.unwrap_err().to_string()
}

#[test]
fn the_default_file_says_what_holds_without_it() {
    for command in COMMANDS {
        for surroundings in [NOWHERE, TERMINAL] {
            let without = format!("{:?}", config_in(command, &[], "", surroundings));
            assert_eq!(format!("{:?}", config_in(command, &[], DEFAULT, surroundings)), without, "{command:?}");
        }
    }
}

#[test]
fn the_default_file_has_every_key_with_its_default_in_the_order_of_the_help() {
    let lines = DEFAULT.lines().filter(|line| !line.starts_with([' ', '#', ']']));
    let keys: Vec<&str> = lines.filter_map(|line| Some(line.split_once(" =")?.0)).collect();
    assert_eq!(keys, all().map(|option| option.declaration().name).collect::<Vec<_>>());
    let values = super::file::parse(DEFAULT, Path::new("")).unwrap();
    for option in all() {
        let declaration = option.declaration();
        let texts = values[declaration.name].iter().filter(|text| !text.is_empty());
        let default = (declaration.default)().into_iter().map(OsString::from).filter(|text| !text.is_empty());
        assert_eq!(texts.cloned().collect::<Vec<_>>(), default.collect::<Vec<_>>(), "{}", declaration.name);
    }
}

#[test]
fn the_default_file_has_the_headings_of_the_help() {
    let headings: Vec<&str> =
        DEFAULT.lines().filter_map(|line| line.strip_prefix("# --- ")?.split(' ').next()).collect();
    let mut groups: Vec<&str> = all().map(|option| option.declaration().group).collect();
    groups.dedup();
    assert_eq!(headings, groups);
}

#[test]
fn the_default_file_names_every_component() {
    let text = DEFAULT.replace("\n#", "");
    let names: Vec<&str> = kata_records::Component::ALL.iter().map(|component| component.name()).collect();
    assert!(text.contains(&format!("The names: {}.", names.join(", "))));
}

#[test]
fn every_declaration_is_complete() {
    for option in all() {
        let declaration = option.declaration();
        let (summary, _) = declaration.help();
        assert!(!summary.is_empty() && !summary.ends_with('.'), "--{}: {summary}", declaration.name);
        assert!(!declaration.commands.is_empty(), "--{}", declaration.name);
        assert_eq!(all().filter(|other| other.declaration().name == declaration.name).count(), 1);
        for text in (declaration.default)().iter().map(OsString::from) {
            assert_eq!(option.check(&text), Ok(()), "--{}", declaration.name);
        }
        for [word, _] in declaration.words.map(|words| words()).unwrap_or_default() {
            assert_eq!(option.check(word.as_ref()), Ok(()), "--{} {word}", declaration.name);
        }
        for clash in declaration.clashes.iter().chain(declaration.idle) {
            assert!(named(clash.with).is_some() || clash.with == "-", "--{}: {}", declaration.name, clash.with);
        }
    }
}

#[test]
fn flags_override_the_file() {
    let text = "format = \"csv\"\nstrict = true\nmax-line = 2048\nkeep = [\"A\"]\n[rename]\nA = \"b\"\n";
    let config = config(Command::Print, &["strict=false", "max-line=64K"], text);
    assert_eq!(config.records.encode.format, Format::Csv);
    assert_eq!(config.diagnostics.fail_on, None);
    assert_eq!(config.source.max_line, 64 << 10);
    assert_eq!(config.records.fields.keep, ["A"]);
    assert_eq!(config.records.fields.rename, [("A".to_owned(), "b".to_owned())]);
}

#[test]
fn lists_of_flags_replace_but_drop_and_prune_add() {
    let text = "manager = [\"podman\"]\ndrop = [\"A\"]\nprune = [\"x\"]\nkeep = [\"K\"]\n";
    let arguments = ["manager=docker,crio", "drop=B,!A", "prune=!x,y.*", "keep="];
    let listed = config(Command::Print, &arguments, text);
    assert_eq!(listed.records.select.managers, ["docker", "crio"]);
    assert_eq!(listed.records.fields.drop, ["A", "B", "!A"]);
    assert_eq!(listed.records.fields.prune, ["x", "!x", "y.*"]);
    assert!(listed.records.fields.keep.is_empty());
    let added = config(Command::Print, &["prune=extra"], "");
    assert_eq!(added.records.fields.prune.len(), FieldSettings::default().prune.len() + 1);
}

#[test]
fn trust_and_patterns_of_secrets_add_to_what_is_there() {
    let plain = config(Command::Print, &[], "");
    assert_eq!(plain.records.select.trusted_uids, [0]);
    assert_eq!(plain.records.redact, Some(Vec::new()));
    assert_eq!(plain.source.trust.pods.len(), 4);
    assert!(!plain.source.trust.vouch && !plain.source.trust.untrusted);
    let arguments = ["trusted-uids=1001,1000,0", "trusted-pods=ci/kata-*", "redact=a{1,2}", "vouch"];
    let added = config(Command::Print, &arguments, "redact = [\"b\"]\n");
    assert_eq!(added.records.select.trusted_uids, [0, 1000, 1001]);
    assert_eq!(added.records.redact, Some(vec!["b".to_owned(), "a{1,2}".to_owned()]));
    assert_eq!(added.source.trust.pods[..4], plain.source.trust.pods);
    assert_eq!(added.source.trust.pods[4..], ["ci/kata-*".parse().unwrap()]);
    assert!(added.source.trust.vouch);
    let replaced = config(Command::Check, &["untrusted"], "trusted-uids = [\"7\"]\ntrusted-pods = []\n");
    assert_eq!(replaced.records.select.trusted_uids, [7]);
    assert!(replaced.source.trust.pods.is_empty() && replaced.source.trust.untrusted);
}

#[test]
fn redaction_is_off_only_if_a_stronger_layer_says_so() {
    let redact = |command, arguments: &[&str], file| config(command, arguments, file).records.redact;
    assert_eq!(redact(Command::Print, &["no-redact"], ""), None);
    assert_eq!(redact(Command::Print, &["no-redact"], "redact = [\"a\"]"), None);
    assert_eq!(
        redact(Command::Print, &["no-redact=false", "redact=a"], "no-redact = true"),
        Some(vec!["a".to_owned()])
    );
    // `check` and `schema` write no records.
    assert_eq!(redact(Command::Check, &[], "no-redact = true\nredact = [\"a\"]"), Some(Vec::new()));
    for (arguments, file) in [
        (&["no-redact", "redact=a"][..], ""),
        (&["redact=a"], "no-redact = true"),
        (&[], "no-redact = true\nredact = [\"a\"]"),
    ] {
        assert!(refused(Command::Ship, arguments, file).contains(": nothing is redacted"), "{arguments:?} {file}");
    }
}

#[test]
fn raw_entries_are_shipped_only_without_redaction() {
    for format in ["export", "journal-json"] {
        let flag: &str = &format!("format={format}");
        let file: &str = &format!("format = \"{format}\"");
        assert!(refused(Command::Ship, &[flag], "").contains("add --no-redact"));
        assert!(refused(Command::Ship, &[], file).contains("add --no-redact"));
        for (arguments, file) in [(&[flag, "no-redact"][..], ""), (&["no-redact"], file), (&[flag], "no-redact = true")]
        {
            assert!(config(Command::Ship, arguments, file).records.encode.format.is_of_entries(), "{arguments:?}");
        }
        // Servers receive records, whatever the file says.
        assert_eq!(config(Command::Ship, &["to=unix:/s"], file).records.redact, Some(Vec::new()));
        assert!(config(Command::Print, &[flag], "").records.encode.format.is_of_entries());
        assert!(refused(Command::Print, &[flag, "no-redact"], "").contains("has no effect with --format"));
        assert!(refused(Command::Ship, &[flag, "redact=a"], "").contains("has no effect with --format"));
    }
}

#[test]
fn keys_of_other_commands_are_ignored() {
    let text = "to = [\"unix:/s\"]\noutput-dir = \"d\"\nfor = \"fluentd-exec\"\nresume = true\nsyslog-max = 9000\n";
    let print = config(Command::Print, &[], text);
    assert!(print.delivery.receiver.is_none() && print.conversion.is_none());
    assert_eq!(print.records.encode.format, Format::Ndjson);
    assert!(config(Command::Convert, &[], text).conversion.is_some());
}

#[test]
fn keys_without_an_effect_change_nothing() {
    let plain = |command, arguments: &[&str]| format!("{:?}", config(command, arguments, ""));
    let text = "schema = \"ecs\"\ndelta = true\nmax-record = 4095\ncompress = \"gzip\"\ntime-format = \"unix\"\n";
    for arguments in [&["format=text"][..], &["format=csv"], &["format=export"]] {
        let with_keys = Config {
            records: config(Command::Print, arguments, "").records,
            ..config(Command::Print, arguments, text)
        };
        assert_eq!(format!("{with_keys:?}"), plain(Command::Print, arguments), "{arguments:?}");
        let records = config(Command::Print, arguments, text).records;
        assert_eq!((records.encode.schema, records.encode.max_record), (kata_records::Schema::Kata, None));
    }
    let to = "to = [\"syslog+tcp://h\"]\nformat = \"text\"\noutput = \"o\"\nschema = \"ecs\"\nspool = \"d\"\nmax-record = 4095\n";
    let ship = config(Command::Ship, &["no-state"], to);
    assert_eq!((ship.records.encode.format, ship.output.path, ship.delivery.spool), (Format::Syslog, None, None));
    assert_eq!((ship.records.encode.schema, ship.records.encode.max_record), (kata_records::Schema::Kata, None));
}

#[test]
fn flags_with_the_default_are_neutral() {
    for flags in [
        &["color=never", "format=text"][..],
        &["compress=none"],
        &["time-format=rfc3339"],
        &["schema=kata", "format=csv"],
    ] {
        assert!(config(Command::Print, flags, "").conversion.is_none(), "{flags:?}");
    }
    let to = "to = [\"unix:/s\"]";
    assert!(config(Command::Ship, &["format=ndjson", "output=-", "no-state"], to).delivery.receiver.is_some());
}

#[test]
fn numbers_of_the_file_may_have_no_quotes() {
    let config = |command| config(command, &[], "lines = 10\nboot = 0\n");
    let printed = config(Command::Print);
    assert_eq!(printed.journal.range.boot, Some(crate::source::Boot::Before(0)));
    assert_eq!((printed.journal.lines, printed.output.last), (None, Some(10)));
    let shipped = config(Command::Ship);
    assert_eq!((shipped.journal.lines, shipped.output.last), (Some(10), None));
}

#[test]
fn a_host_is_below_the_options_beside_it_and_above_the_layers_below() {
    let fluentd = config(Command::Ship, &["for=fluentd-exec"], "");
    assert_eq!((fluentd.records.encode.format, fluentd.records.tag_key.as_deref()), (Format::Msgpack, Some("tag")));
    assert_eq!(
        (fluentd.records.time_key.as_deref(), fluentd.records.time_format),
        (Some("event_time"), TimeFormat::Unix)
    );
    let json =
        config(Command::Ship, &["for=fluentd-exec", "format=ndjson"], "format = \"msgpack\"\ntag-key = \"mark\"");
    assert_eq!((json.records.encode.format, json.records.tag_key.as_deref()), (Format::Ndjson, Some("tag")));
    let printed = config(Command::Ship, &["for=fluent-bit-exec"], DEFAULT);
    assert_eq!((printed.records.encode.format, printed.records.encode.max_record), (Format::Ndjson, Some(4095)));
    let in_file = config(Command::Ship, &[], "for = \"fluent-bit-exec\"\nmax-record = \"\"");
    assert_eq!(in_file.records.encode.max_record, Some(4095));
    let larger = config(Command::Ship, &[], "for = \"fluent-bit-exec\"\nmax-record = 32767");
    assert_eq!(larger.records.encode.max_record, Some(32767));
    assert_eq!(config(Command::Ship, &["tag-key="], "tag-key = \"mark\"").records.tag_key, None);
}

#[test]
fn a_state_directory_gives_way_to_a_stronger_layer_only() {
    let file = "state-dir = \"d\"\n";
    assert_eq!(config(Command::Ship, &["once"], file).delivery.state_dir, Some("d".into()));
    assert_eq!(config(Command::Ship, &["once", "no-state"], file).delivery.state_dir, None);
    for (arguments, file) in [
        (&["state-dir=d", "no-state"][..], ""),
        (&["state-dir=d"], "no-state = true\n"),
        (&[], "state-dir = \"d\"\nno-state = true\n"),
    ] {
        assert!(refused(Command::Ship, arguments, file).contains(" does not go with "), "{arguments:?}");
    }
}

#[test]
fn no_host_goes_with_servers_and_outputs() {
    let servers = "for = \"fluentd-exec\"\nto = [\"unix:/s\"]\n";
    assert!(config(Command::Ship, &["for=none"], servers).delivery.receiver.is_some());
    assert!(refused(Command::Ship, &["for=fluentd-exec"], servers).contains("does not go with to = "));
    assert!(config(Command::Ship, &["for=none", "output=o"], "").output.path.is_some());
}

#[test]
fn text_is_the_default_of_print_on_a_terminal() {
    let at = |command, arguments: &[&str], file, output| {
        let surroundings = Surroundings { output, ..TERMINAL };
        let options = options(command, arguments, file).unwrap().for_output(output).unwrap();
        let config = Config::new(&options, surroundings).unwrap();
        (config.records.encode.format, config.paging)
    };
    let terminal = |arguments: &[&str], file| at(Command::Print, arguments, file, StandardOutput::Terminal);
    assert_eq!(terminal(&[], ""), (Format::Text, true));
    assert_eq!(terminal(&[], DEFAULT), (Format::Text, true));
    assert_eq!(terminal(&["utc", "all-fields"], ""), (Format::Text, true));
    for (arguments, file) in [
        (&["format=ndjson"][..], ""),
        (&[], "format = \"ndjson\""),
        (&["output=x"], ""),
        // Only other formats have these.
        (&["delta"], ""),
        (&["schema=ecs"], ""),
        (&["keep=MESSAGE"], ""),
    ] {
        assert_eq!(terminal(arguments, file), (Format::Ndjson, false), "{arguments:?} {file}");
    }
    assert_eq!(terminal(&["format=csv"], ""), (Format::Csv, false));
    for arguments in [&["paging=never"][..], &["follow", "journal"]] {
        assert_eq!(terminal(arguments, ""), (Format::Text, false), "{arguments:?}");
    }
    for output in [StandardOutput::Pipe, StandardOutput::File] {
        assert_eq!(at(Command::Print, &[], "", output), (Format::Ndjson, false));
        assert_eq!(at(Command::Print, &["format=text", "paging=always"], "", output), (Format::Text, false));
    }
    assert_eq!(at(Command::Convert, &[], "", StandardOutput::Terminal).0, Format::Ndjson);
}

#[test]
fn paging_needs_a_terminal_that_can_be_drawn_on() {
    let paging = |arguments: &[&str], pages| {
        let arguments = [&["format=text"], arguments].concat();
        config_in(Command::Print, &arguments, "", Surroundings { pages, ..TERMINAL }).paging
    };
    assert!(paging(&[], true) && !paging(&[], false) && paging(&["paging=always"], false));
    let refused = refused(Command::Print, &["format=text", "paging=always", "follow", "journal"], "");
    assert!(refused.contains("--paging always does not go with --follow"), "{refused}");
}

#[test]
fn the_view_has_the_width_of_the_terminal() {
    let width = |arguments: &[&str], surroundings| {
        let arguments = [&["format=text"], arguments].concat();
        let view = config_in(Command::Print, &arguments, "", surroundings).view.unwrap();
        (view.columns, view.wrap)
    };
    assert_eq!(width(&[], TERMINAL), (80, true));
    assert_eq!(width(&["wrap=off"], TERMINAL), (80, false));
    assert_eq!(width(&["wrap=100"], TERMINAL), (100, true));
    for arguments in [&[][..], &["wrap=off"]] {
        assert_eq!(width(arguments, NOWHERE), (120, false));
    }
    assert_eq!(width(&["output=x"], TERMINAL), (120, false));
    assert_eq!(width(&["wrap=90"], NOWHERE), (90, true));
    for width in ["19", "1001", "x", ""] {
        assert!(
            refused(Command::Print, &["format=text", &format!("wrap={width}")], "").contains("20 to 1000"),
            "{width}"
        );
    }
}

#[test]
fn colors_are_for_people() {
    let color = |arguments: &[&str], surroundings| {
        config_in(Command::Print, arguments, "", surroundings).view.is_some_and(|view| view.color)
    };
    assert!(color(&["format=text"], TERMINAL));
    assert!(!color(&["format=text"], NOWHERE));
    assert!(!color(&["format=text", "output=x"], TERMINAL));
    assert!(!color(&["format=text", "color=never"], TERMINAL));
    assert!(color(&["format=text", "color=always"], NOWHERE));
    assert!(!color(&[], TERMINAL));
}

#[test]
fn print_follows_near_the_end_and_ship_from_the_beginning() {
    let lines = |command, arguments: &[&str]| config(command, arguments, "").journal.lines;
    assert_eq!(lines(Command::Print, &[]), None);
    assert_eq!(lines(Command::Print, &["follow"]), Some(10));
    assert_eq!(lines(Command::Print, &["follow", "until=tomorrow"]), Some(10));
    assert_eq!(lines(Command::Print, &["follow", "lines=3"]), Some(3));
    for begin in ["since=@1", "boot=0", "after-cursor=t=1", "lines=all"] {
        assert_eq!(lines(Command::Print, &["follow", begin]), None, "{begin}");
    }
    assert_eq!(lines(Command::Ship, &[]), None);
    assert_eq!(lines(Command::Ship, &["lines=3"]), Some(3));
}

#[test]
fn threads() {
    let threads = |arguments: &[&str]| config(Command::Print, arguments, "").output.threads;
    assert_eq!(threads(&[]), None);
    assert_eq!(threads(&["threads=auto"]), None);
    assert_eq!(threads(&["threads=0"]), Some(4));
    assert_eq!(threads(&["threads=3"]), Some(3));
}

#[test]
fn messages_name_the_setting_where_it_was_set() {
    assert_eq!(
        refused(Command::Print, &["format=xml"], ""),
        "--format xml: expected one of auto, ndjson, msgpack, csv, text, export, journal-json"
    );
    assert_eq!(
        refused(Command::Print, &[], "fromat = 1"),
        "configuration file \"k.toml\", key \"fromat\": there is no such key; did you mean \"format\"?"
    );
    assert_eq!(
        refused(Command::Print, &[], "format = ndjson"),
        "configuration file \"k.toml\", line 1: texts need quotes: format = \"ndjson\""
    );
    assert_eq!(
        refused(Command::Print, &[], "[output]\nformat = \"text\""),
        "configuration file \"k.toml\", section [output]: keys have no sections; write its keys at the top of \
         the file: format = \"text\""
    );
    assert_eq!(
        refused(Command::Print, &["sort=time"], "follow = true"),
        "--sort time does not go with follow = true in \"k.toml\": an input without an end cannot be sorted"
    );
    assert_eq!(
        refused(Command::Print, &["time-format=unix"], ""),
        "--time-format unix has no effect without --time-key NAME, which names the field"
    );
    assert!(options(Command::Print, &[], "time-format = \"unix\"").is_ok());
    assert_eq!(
        refused(Command::Ship, &["to=forward://h,syslog+tcp://h"], ""),
        "--to forward://h,syslog+tcp://h: forward and syslog servers do not go together; run one `katalog ship` \
         for each protocol"
    );
}

#[test]
fn the_fingerprint_has_what_the_bytes_depend_on() {
    let print = |text: &str| super::conversion::fingerprint(&options(Command::Convert, &[], text).unwrap());
    let base = print("");
    for (key, value) in [
        ("input-format", "\"text\""),
        ("max-line", "\"2K\""),
        ("since", "\"@1.5\""),
        ("boot", "\"0\""),
        ("identifier", "[\"x\"]"),
        ("component", "[\"agent\"]"),
        ("trusted-uids", "[\"1000\"]"),
        ("trusted-pods", "[]"),
        ("vouch", "true"),
        ("untrusted", "true"),
        ("redact", "[\"a\"]"),
        ("no-redact", "true"),
        ("keep", "[\"A\"]"),
        ("rename", "{ A = \"b\" }"),
        ("lowercase", "true"),
        ("prune", "[]"),
        ("format", "\"csv\""),
        ("split", "\"host\""),
        ("compress", "\"gzip\""),
        ("tag-key", "\"x\""),
        ("sort", "\"time\""),
        ("reverse", "true"),
    ] {
        let other = print(&format!("{key} = {value}"));
        let changed: Vec<&String> = base.keys().filter(|key| base.get(*key) != other.get(*key)).collect();
        assert_eq!(changed, [key]);
    }
    for same in ["max-line = \"1024K\"", "threads = 3", "force = true", "split = \"{component}\"", "lowercase = false"]
    {
        assert_eq!(print(same), base, "{same}");
    }
}
