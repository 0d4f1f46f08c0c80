//! A receiver of the forward protocol for benches and for tests by hand: it counts, acknowledges, and can write down
//! which records it has before it acknowledges them.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../support/forward/count.rs"]
mod count;
#[path = "../support/forward/plain.rs"]
mod plain;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../support/forward/wire.rs"]
mod wire;

use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Parser;

use count::{Totals, Verdict};

/// Takes what forward clients send, as fast as it can. Each end of a connection prints to standard error what came.
#[derive(Parser)]
struct Options {
    /// Where to listen; the port is the first line of standard output
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// The field with the id of a record; for each record, a line with id and hash is written
    #[arg(long, value_name = "KEY", requires = "out")]
    ids: Option<String>,
    /// Where these lines go; a request's are there before it is acknowledged
    #[arg(long, value_name = "FILE", requires = "ids")]
    out: Option<PathBuf>,
    /// Acknowledge nothing
    #[arg(long)]
    no_ack: bool,
    /// End with the first connection
    #[arg(long)]
    once: bool,
}

/// What all connections share.
struct Sink {
    options: Options,
    out: Option<File>,
    totals: Mutex<Totals>,
}

impl Sink {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut totals = Totals::default();
        let mut lines = Vec::new();
        let served = count::serve(&mut stream, &mut totals, |frame| {
            if let (Some(key), Some(mut out)) = (&self.options.ids, self.out.as_ref()) {
                lines.clear();
                let line = |id: &[u8], record: &[u8]| {
                    lines.extend_from_slice(id);
                    lines.extend_from_slice(format!(" {:016x}\n", count::hash(record)).as_bytes());
                };
                count::records(frame, key, line).map_err(count::invalid)?;
                // It was opened to append, so the lines of one request stay together.
                out.write_all(&lines)?;
            }
            Ok(if self.options.no_ack { Verdict::Silence } else { Verdict::Ack })
        });
        let mut all = self.totals.lock().map_err(|_| io::Error::other("another connection failed"))?;
        *all += totals;
        let Totals { requests, events, bytes } = *all;
        writeln!(io::stderr(), "requests {requests} events {events} bytes {bytes}")?;
        served
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    let out = options.out.as_ref().map(|path| File::options().append(true).create(true).open(path)).transpose()?;
    let listener = TcpListener::bind(&options.address)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?.port())?;
    let once = options.once;
    let sink = Arc::new(Sink { options, out, totals: Mutex::default() });
    loop {
        let (stream, _) = listener.accept()?;
        if once {
            return sink.serve(stream);
        }
        let sink = Arc::clone(&sink);
        std::thread::spawn(move || {
            if let Err(error) = sink.serve(stream) {
                _ = writeln!(io::stderr(), "a connection failed: {error}");
            }
        });
    }
}
