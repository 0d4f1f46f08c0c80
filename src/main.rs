//! The program. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    katalog::app::run(std::env::args_os()).into()
}
