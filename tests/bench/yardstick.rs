//! The yardsticks of the speed figures: the minimal cost of reading standard input's file, without any normalization.
//!
//! - `lines`: splits the file into lines with memchr and copies them, the minimum of any line tool.
//! - `pairs`: splits each line into its pairs with memchr and copies them as members of an object. No tool that makes
//!   fields of logfmt can do less: no time, number, level or name is inspected, nothing is checked or translated.
//! - `logfmt`: parses each line with the crate of that name, and writes nothing.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use memchr::{memchr, memchr2};

const BLOCK: usize = 256 << 10;

fn main() -> io::Result<()> {
    let each = match std::env::args().nth(1).as_deref() {
        Some("lines") => copy,
        Some("pairs") => pairs,
        Some("logfmt") => parse,
        _ => return Err(io::Error::other("expected one argument: lines, pairs or logfmt")),
    };
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut block = vec![0; BLOCK];
    let mut held = 0;
    let mut out = Vec::with_capacity(2 * BLOCK);
    loop {
        if held == block.len() {
            block.resize(held * 2, 0);
        }
        let read = input.read(&mut block[held..])?;
        let filled = held + read;
        let mut start = 0;
        while let Some(end) = memchr(b'\n', &block[start..filled]) {
            each(&block[start..=start + end], &mut out);
            start += end + 1;
        }
        if read == 0 {
            each(&block[start..filled], &mut out);
        }
        output.write_all(&out)?;
        out.clear();
        if read == 0 {
            return Ok(());
        }
        block.copy_within(start..filled, 0);
        held = filled - start;
    }
}

fn copy(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(line);
}

fn pairs(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line.strip_suffix(b"\n").unwrap_or(line);
    let mut before = *b"{\"kata_";
    while let Some(end) = memchr(b'=', rest) {
        out.extend_from_slice(&before);
        out.extend_from_slice(&rest[..end]);
        out.extend_from_slice(b"\":\"");
        before[0] = b',';
        rest = &rest[end + 1..];
        let quoted = rest.first() == Some(&b'"');
        rest = &rest[usize::from(quoted)..];
        let mut end = 0;
        if quoted {
            while let Some(step) = memchr2(b'"', b'\\', &rest[end..]) {
                end += step;
                if rest[end] == b'"' {
                    break;
                }
                end = rest.len().min(end + 2);
            }
        } else {
            end = memchr(b' ', rest).unwrap_or(rest.len());
        }
        out.extend_from_slice(&rest[..end]);
        out.push(b'"');
        // The space, or the quote and the space.
        rest = rest.get(end + 1 + usize::from(quoted)..).unwrap_or_default();
    }
    out.extend_from_slice(b"}\n");
}

fn parse(line: &[u8], _: &mut Vec<u8>) {
    black_box(logfmt::parse(&String::from_utf8_lossy(line)));
}
