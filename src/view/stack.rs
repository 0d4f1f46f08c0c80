//! The lines of an error: its text, and the frames of its stack. Frames of libraries that every stack has are folded.

use std::borrow::Cow;

/// A line of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ErrorLine<'t> {
    /// A line of the text.
    Text(Cow<'t, str>),
    /// A frame without its address, with the file and the line if they are known.
    Frame(String),
    /// This many frames of these libraries.
    Folded(usize, Vec<&'static str>),
}

/// The form of the lines at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stack {
    None,
    Rust,
    Go,
}

/// Returns the lines of an error. Escaped line ends count as line ends, because writers quote the errors of others.
pub(super) fn error_lines(text: &str) -> Vec<ErrorLine<'_>> {
    let mut lines = Lines { lines: Vec::new(), pending: None };
    let mut stack = Stack::None;
    for line in text.split('\n').flat_map(|line| line.split("\\n")) {
        let line = line.trim_end_matches(['\r', ' ']);
        let trimmed = line.trim_start();
        if trimmed.is_empty() {
            continue;
        }
        if trimmed.to_ascii_lowercase().starts_with("stack backtrace:") {
            stack = Stack::Rust;
        } else if trimmed.starts_with("goroutine ") && trimmed.ends_with("]:") {
            stack = Stack::Go;
            lines.frame(trimmed.to_owned(), None);
        } else if let Some((number, symbol)) = rust_frame(trimmed, stack) {
            stack = Stack::Rust;
            lines.frame(format!("{number}: {symbol}"), library(symbol));
        } else if stack == Stack::Rust && trimmed.starts_with("at ") {
            lines.location(place(trimmed.get(3..).unwrap_or_default()));
        } else if stack == Stack::Go && line.starts_with(['\t', ' ']) {
            lines.location(place(trimmed));
        } else if let Some(function) = go_function(trimmed).filter(|_| stack == Stack::Go) {
            lines.frame(function.to_owned(), go_library(function));
        } else {
            stack = Stack::None;
            lines.text(line);
        }
    }
    lines.finish()
}

/// The lines so far. The last frame waits for its location.
struct Lines<'t> {
    lines: Vec<ErrorLine<'t>>,
    pending: Option<String>,
}

impl<'t> Lines<'t> {
    fn text(&mut self, line: &'t str) {
        self.flush();
        self.lines.push(ErrorLine::Text(Cow::Borrowed(line)));
    }

    fn frame(&mut self, frame: String, library: Option<&'static str>) {
        self.flush();
        match (library, self.lines.last_mut()) {
            (None, _) => self.pending = Some(frame),
            (Some(library), Some(ErrorLine::Folded(count, libraries))) => {
                *count += 1;
                if !libraries.contains(&library) {
                    libraries.push(library);
                }
            }
            (Some(library), _) => self.lines.push(ErrorLine::Folded(1, vec![library])),
        }
    }

    /// Adds the place of the last frame, unless the frame is folded.
    fn location(&mut self, place: &str) {
        if let Some(frame) = &mut self.pending {
            frame.push_str("  ");
            frame.push_str(place);
        }
        self.flush();
    }

    fn flush(&mut self) {
        self.lines.extend(self.pending.take().map(ErrorLine::Frame));
    }

    fn finish(mut self) -> Vec<ErrorLine<'t>> {
        self.flush();
        self.lines
    }
}

/// Returns number and symbol of a frame such as `3: 0x55d7 - core::panicking::panic::h0123456789abcdef`. Outside of a
/// stack, only a line with a path is a frame: causes of errors are numbered too.
fn rust_frame(line: &str, stack: Stack) -> Option<(&str, &str)> {
    let (number, symbol) = line.split_once(':')?;
    if number.is_empty() || number.len() > 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let symbol = symbol.trim_start();
    let symbol = match symbol.strip_prefix("0x").and_then(|rest| rest.split_once(" - ")) {
        Some((address, symbol)) if address.bytes().all(|byte| byte.is_ascii_hexdigit()) => symbol,
        _ => symbol,
    };
    let symbol = match symbol.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => symbol,
    };
    let is_path = symbol.contains("::") && !symbol.contains(": ") && !symbol.contains('"');
    (stack == Stack::Rust || is_path && (!symbol.contains(' ') || symbol.starts_with('<'))).then_some((number, symbol))
}

/// Returns the library of a symbol if every stack has its frames.
fn library(symbol: &str) -> Option<&'static str> {
    const LIBRARIES: [(&str, &str); 14] = [
        ("std::", "std"),
        ("core::", "std"),
        ("alloc::", "std"),
        ("backtrace::", "std"),
        ("__", "std"),
        ("rust_begin_unwind", "std"),
        ("rust_panic", "std"),
        ("_start", "std"),
        ("start_thread", "std"),
        ("clone", "std"),
        ("tokio::", "tokio"),
        ("futures", "tokio"),
        ("mio::", "tokio"),
        ("anyhow::", "anyhow"),
    ];
    let path = symbol.trim_start_matches(['<', '&']);
    let path = path.strip_prefix("dyn ").unwrap_or(path);
    if path == "<unknown>" || symbol == "<unknown>" {
        return Some("unknown");
    }
    LIBRARIES.iter().find(|(head, _)| path.starts_with(head)).map(|row| row.1)
}

/// Returns the function of a line such as `main.start(0xc000, {0x1})`.
fn go_function(line: &str) -> Option<&str> {
    if let Some(function) = line.strip_prefix("created by ") {
        return Some(function.split(" in goroutine").next().unwrap_or(function));
    }
    let (function, _) = line.strip_suffix(')')?.rsplit_once('(')?;
    (!function.is_empty() && !function.contains(' ')).then_some(function)
}

fn go_library(function: &str) -> Option<&'static str> {
    let is_runtime =
        ["runtime.", "runtime/", "panic", "syscall.", "internal/"].iter().any(|head| function.starts_with(head));
    is_runtime.then_some("the Go runtime")
}

/// Returns file name and line of a place such as `/root/src/rpc.rs:412:9` or `/go/main.go:12 +0x1d`.
fn place(text: &str) -> &str {
    let path = text.split(' ').next().unwrap_or(text);
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the lines as text, with a letter for their kind.
    fn shown(text: &str) -> Vec<String> {
        let show = |line: &ErrorLine<'_>| match line {
            ErrorLine::Text(text) => format!("T {text}"),
            ErrorLine::Frame(frame) => format!("F {frame}"),
            ErrorLine::Folded(count, libraries) => format!("… {count} {}", libraries.join(", ")),
        };
        error_lines(text).iter().map(show).collect()
    }

    #[test]
    fn rust_stacks_unfold_without_addresses() {
        let text = "rpc error: code = Internal desc = ENOENT\\n\\nStack backtrace:\\n\
            \u{20}  0: 0x55d7a - rustjail::container::LinuxContainer::start::h0123456789abcdef\\n\
            \u{20}            at /root/src/container.rs:412:9\\n\
            \u{20}  1: core::ops::function::FnOnce::call_once\\n             at /rustc/1/core.rs:1:2\\n\
            \u{20}  2: <core::pin::Pin<P> as core::future::future::Future>::poll\\n   3: tokio::runtime::park::block\\n\
            \u{20}  4: kata_agent::main\\n   5: __libc_start_main\\nbehind it";
        let expected = [
            "T rpc error: code = Internal desc = ENOENT",
            "F 0: rustjail::container::LinuxContainer::start  container.rs:412:9",
            "… 3 std, tokio",
            "F 4: kata_agent::main",
            "… 1 std",
            "T behind it",
        ];
        assert_eq!(shown(text), expected);
        assert_eq!(shown(&text.replace("\\n", "\n")), expected);
    }

    #[test]
    fn frames_need_no_heading_but_causes_are_no_frames() {
        assert_eq!(
            shown("failed\n\nCaused by:\n    0: do start\n    1: bind address: io::Error\n 2: kata_agent::rpc::start"),
            [
                "T failed",
                "T Caused by:",
                "T     0: do start",
                "T     1: bind address: io::Error",
                "F 2: kata_agent::rpc::start"
            ]
        );
        assert_eq!(shown("plain"), ["T plain"]);
        assert!(shown("").is_empty());
    }

    #[test]
    fn go_stacks_unfold() {
        let text = "panic: nil\n\ngoroutine 1 [running]:\nmain.start(0xc0001, {0x1})\n\t/go/src/main.go:12 +0x1d\n\
            runtime.gopanic({0x1})\n\t/usr/go/panic.go:884 +0x212\ncreated by runtime.main in goroutine 2\n\t/x.go:1";
        assert_eq!(
            shown(text),
            ["T panic: nil", "F goroutine 1 [running]:", "F main.start  main.go:12", "… 2 the Go runtime"]
        );
    }
}
