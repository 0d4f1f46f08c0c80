//! The commands of the program, and the sets of them that share options.

/// A command: the first word of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Prints records. The command of a command line without one.
    Print,
    /// Follows inputs, delivers their records, and remembers the positions.
    Ship,
    /// Converts archives into the files of a directory.
    Convert,
    /// Reports which inputs are valid.
    Check,
    /// Explains known failures.
    Explain,
    /// Prints the schema of the records.
    Schema,
    /// Prints or checks the settings.
    Config,
    /// Prints the completions of a shell.
    Completions,
    /// Prints a page of the manual.
    Man,
}

/// The commands that read inputs.
pub(crate) const READERS: &[Command] = &[Command::Print, Command::Ship, Command::Convert, Command::Check];
/// The commands that write records.
pub(crate) const WRITERS: &[Command] = &[Command::Print, Command::Ship, Command::Convert];
/// The commands that describe records or write them.
pub(crate) const SHAPERS: &[Command] = &[Command::Print, Command::Ship, Command::Convert, Command::Schema];
/// The commands that read inputs from end to end.
pub(crate) const BULK: &[Command] = &[Command::Print, Command::Convert, Command::Check];
/// The commands that write each record to one place, or to files of a directory.
pub(crate) const FILERS: &[Command] = &[Command::Print, Command::Convert];
/// The commands that write records to one output.
pub(crate) const STREAMERS: &[Command] = &[Command::Print, Command::Ship];
/// The commands for programs that run katalog as a child.
pub(crate) const HOSTED: &[Command] = &[Command::Ship, Command::Schema];
/// The command that follows journals and files for people.
pub(crate) const PRINT: &[Command] = &[Command::Print];
/// The command that delivers.
pub(crate) const SHIP: &[Command] = &[Command::Ship];
/// The command that validates inputs.
pub(crate) const CHECK: &[Command] = &[Command::Check];
/// The command that converts.
pub(crate) const CONVERT: &[Command] = &[Command::Convert];

/// Words that later versions use as commands.
pub const RESERVED: &[&str] = &["report"];

impl Command {
    /// All commands, in the order of the help.
    pub const ALL: &'static [Command] = &[
        Command::Print,
        Command::Ship,
        Command::Convert,
        Command::Check,
        Command::Explain,
        Command::Schema,
        Command::Config,
        Command::Completions,
        Command::Man,
    ];

    /// Returns the word of the command.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Command::Print => "print",
            Command::Ship => "ship",
            Command::Convert => "convert",
            Command::Check => "check",
            Command::Explain => "explain",
            Command::Schema => "schema",
            Command::Config => "config",
            Command::Completions => "completions",
            Command::Man => "man",
        }
    }

    /// Returns the command of a word.
    #[must_use]
    pub fn of_name(word: &str) -> Option<Command> {
        Command::ALL.iter().copied().find(|command| command.name() == word)
    }

    /// Returns whether the command has options of the configuration file.
    #[must_use]
    pub const fn has_options(self) -> bool {
        !matches!(self, Command::Explain | Command::Completions | Command::Man)
    }

    /// Returns whether the command reads inputs.
    #[must_use]
    pub const fn reads_inputs(self) -> bool {
        self.reads_stdin() || matches!(self, Command::Ship)
    }

    /// Returns whether the command saves its positions in the inputs.
    #[must_use]
    pub const fn keeps_positions(self) -> bool {
        matches!(self, Command::Ship)
    }

    /// Returns whether the command reads standard input if no input is named.
    #[must_use]
    pub const fn reads_stdin(self) -> bool {
        matches!(self, Command::Print | Command::Convert | Command::Check)
    }
}
