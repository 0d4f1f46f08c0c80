//! A receiver of the forward protocol for benches and for manual tests. It counts and acknowledges, and can log the
//! records of each request before it acknowledges the request.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../support/forward/count.rs"]
mod count;
#[path = "../support/forward/decompress.rs"]
mod decompress;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../support/forward/wire.rs"]
mod wire;

use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Parser;

use count::{Response, Totals};

/// Accepts requests of forward clients as fast as it can. Prints the totals to standard error whenever a connection
/// ends.
#[derive(Parser)]
struct Options {
    /// Address to listen on; the port is the first line of standard output
    #[arg(default_value = "127.0.0.1:0")]
    address: String,
    /// Field with the id of a record; each record adds a line with id and hash to FILE of --out
    #[arg(long, value_name = "KEY", requires = "out")]
    ids: Option<String>,
    /// File for these lines; those of a request are written before it is acknowledged
    #[arg(long, value_name = "FILE", requires = "ids")]
    out: Option<PathBuf>,
    /// Acknowledge nothing
    #[arg(long)]
    no_ack: bool,
    /// Exit with the first connection
    #[arg(long)]
    once: bool,
}

/// State shared by all connections.
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
                // The file is open in append mode, so the lines of one request stay together.
                out.write_all(&lines)?;
            }
            Ok(if self.options.no_ack { Response::Silence } else { Response::Ack })
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
