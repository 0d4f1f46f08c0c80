//! The texts of the help that do not belong to an option.

use crate::config::{self, Command};
use crate::exit::Exit;

/// The description of the program.
pub(super) const ABOUT: &str = "A streaming normalizer for the logs of Kata Containers";

/// The form of a command line.
pub(super) const USAGE: &str = "katalog [COMMAND] [OPTION]... [INPUT]...";

/// The store of `katalog schema` without an argument.
pub(super) const DEFAULT_STORE: &str = "json-schema";

/// The name of the manual page about the configuration file.
pub(super) const CONFIG_PAGE: &str = "katalog.toml";

/// Returns the line that describes a command.
pub(super) fn summary(command: Command) -> &'static str {
    match command {
        Command::Print => "Print records: the default command",
        Command::Ship => "Follow inputs, deliver their records, remember the positions",
        Command::Convert => "Convert archives into files, on all cores",
        Command::Check => "Report which inputs are valid, and what is wrong with the others",
        Command::Explain => "Explain known failures: what they mean, what to look at",
        Command::Schema => "Print the schema of the records, for stores",
        Command::Config => "Print or check the settings",
        Command::Completions => "Print the completions of a shell",
        Command::Man => "Print a page of the manual",
    }
}

/// Returns examples of a command: a command line, and its effect.
pub(super) fn examples(command: Command) -> &'static [[&'static str; 2]] {
    match command {
        Command::Print => &[
            ["katalog --journal --since yesterday", "Kata's entries on this machine since yesterday"],
            ["katalog -f", "New entries of this machine's journal"],
            ["katalog sosreport.tar.xz", "The journals and logs of a support bundle"],
            ["katalog -F text --component agent kata.log", "The entries of the agents, for people"],
            ["journalctl -o json --all | katalog", "A journal that journalctl reads"],
            [
                "katalog --rename _HOSTNAME=host --drop '_*' --prune '!config.*' kata.log",
                "Other fields than the default",
            ],
        ],
        Command::Ship => &[
            [
                "katalog ship --to forward://aggregator:24224",
                "This machine's journal to Fluentd, continued after each restart",
            ],
            ["katalog ship --for fluentd-exec", "A command for Fluentd's exec input"],
            ["katalog ship --for fluentd-exec -", "A command for Fluentd's exec_filter output"],
            ["katalog ship --once --output kata.ndjson '/var/log/kata*.log'", "New lines of log files, from a timer"],
            ["katalog ship --once --no-state --to forward://aggregator bundle.tar.xz", "A whole archive, once"],
        ],
        Command::Convert => &[
            ["katalog convert --output-dir out bundle.tar.xz", "A file for each component"],
            [
                "katalog convert --output-dir out --split host,day --compress zstd archive/",
                "Archives as a tree of files; --resume continues after an interruption",
            ],
        ],
        Command::Explain => &[
            ["katalog explain 'group 40 is not viable'", "A message, or a part of it: what it means, what to look at"],
            ["kubectl describe pod web-0 | katalog explain -", "The known failures in the lines of standard input"],
            ["katalog explain", "All known failures"],
        ],
        Command::Check => &[
            ["katalog check bundle.tar.xz kata*.log", "A row for each input; 1 if one is damaged"],
            ["katalog check --fail-on notice kata.log", "Odd entries fail too"],
        ],
        Command::Schema => &[["katalog schema elasticsearch --schema ecs", "An index template"]],
        Command::Config => &[
            ["katalog config --default", "The default configuration file"],
            ["katalog config ship", "The settings of `katalog ship`, and where they come from"],
            ["katalog config --check ship --config katalog.toml", "Check the file for `katalog ship`"],
        ],
        Command::Completions => &[["katalog completions bash", "Completions, to be sourced by bash"]],
        Command::Man => &[["katalog man ship | man -l -", "The page of `katalog ship`"]],
    }
}

/// Returns the help on the INPUT argument.
pub(super) fn input(command: Command) -> &'static str {
    match command {
        Command::Ship => {
            "Journals, log files, and patterns of their names; - is standard input. Without INPUT: the journal of this machine"
        }
        _ => {
            "Journals, log files, directories and tar archives, compressed or not; - is standard input. Without INPUT: \
             standard input"
        }
    }
}

/// The number of examples in the short help.
const FEW_EXAMPLES: usize = 3;

/// Returns the text below the options.
pub(super) fn after(command: Command, long: bool) -> String {
    let mut text = "Examples:\n".to_owned();
    for [line, effect] in examples(command).iter().take(if long { usize::MAX } else { FEW_EXAMPLES }) {
        text.push_str(&format!("  {line}\n      {effect}\n"));
    }
    if command == Command::Explain {
        text.push_str(&format!("\n{EXPLAIN_EXIT}"));
    }
    match (command.reads_inputs(), long) {
        (false, _) => {}
        (true, true) => text.push_str(&format!("\n{LAYERS}\n\n{}", exit_codes())),
        (true, false) => text.push_str("\n--help explains each option, and has all examples and the exit codes."),
    }
    text
}

/// The exit code of `katalog explain`.
pub(super) const EXPLAIN_EXIT: &str = "It exits with 1 if it knows no failure in the text.";

/// The rules of the layers. The overview is not wrapped, so the lines end here.
pub(super) const LAYERS: &str = "\
Each option is also an environment variable (--max-line: KATALOG_MAX_LINE) and a key of the file
that --config names. Flags override variables, which override the file, which overrides the
defaults. Keys and variables of other commands are ignored; an empty variable counts as not set.
Lists: repeat the flag, or separate values by commas (but not those of --identifier). A list
replaces the list of the file; --drop and --prune add to it.";

fn exit_codes() -> String {
    let rows = Exit::ALL.iter().map(|exit| format!("  {:>2}  {}\n", exit.code(), exit.meaning()));
    format!(
        "Exit codes:\n{}An input that fails does not stop the others; the first failure decides.",
        rows.collect::<String>()
    )
}

/// Returns the help of `katalog` without a command: the commands with an example each, and the everyday options.
pub(super) fn overview(long: bool) -> String {
    let mut text = format!("{ABOUT}\n\nUsage: {USAGE}\n\nCommands:\n");
    for command in Command::ALL {
        text.push_str(&format!("  {:<12} {}\n", command.name(), summary(*command)));
        let count = if long { usize::MAX } else { 1 };
        for [line, effect] in examples(*command).iter().take(count) {
            text.push_str(&format!("{:15}{line}\n", ""));
            if long {
                text.push_str(&format!("{:19}{effect}\n", ""));
            }
        }
    }
    text.push_str("\nEveryday options of print:\n");
    let options = config::all().map(|option| option.declaration());
    for option in options.filter(|option| option.everyday && option.commands.contains(&Command::Print)) {
        let short = option.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
        let value = if option.bare.is_some() { String::new() } else { format!(" <{}>", option.value) };
        text.push_str(&format!("  {short}{:<24}{}\n", format!("--{}{value}", option.name), option.help().0));
    }
    text.push_str("  -c, --config <FILE>         Read options that are not given from this file\n");
    text.push_str("  -h, --help; -V, --version   `katalog COMMAND -h` lists a command's options\n");
    if long {
        text.push_str(&format!("\n{LAYERS}\n\n{}\n", exit_codes()));
    }
    text
}

/// Returns the pages of the manual, and what they are about.
pub(super) fn pages() -> Vec<[&'static str; 2]> {
    let commands = Command::ALL.iter().map(|command| [command.name(), summary(*command)]);
    [["katalog", "The program"]].into_iter().chain(commands).chain([[CONFIG_PAGE, "The configuration file"]]).collect()
}
