//! The receiver: registers every request in the ledger. It can cut connections, withhold an ack, be slow, require a
//! shared key, close its port and reopen it.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::conduct::Conduct;
use super::ledger::{Cause, Ledger};
use super::receiver_stream::ReceiverStream;
use crate::support::forward::count::{Response, Totals, serve};
use crate::support::forward::listen;
use crate::support::forward::wire::Frame;

const TICK: Duration = Duration::from_millis(1);

struct Shared {
    ledger: Arc<Ledger>,
    address: SocketAddr,
    wanted: AtomicBool,
    listening: AtomicBool,
    ended: AtomicBool,
    open: Mutex<Vec<Option<TcpStream>>>,
    active: AtomicUsize,
    /// Bytes still to read before the connection is cut.
    budget: Mutex<Option<u64>>,
    lose: AtomicBool,
    conduct: Mutex<Conduct>,
    /// True to read without pauses, because the client is dead.
    hurry: AtomicBool,
    cause: Mutex<Cause>,
}

pub(crate) struct Receiver {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Receiver {
    pub(crate) fn start(ledger: Arc<Ledger>) -> Receiver {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)));
        let shared = Arc::new(Shared {
            ledger,
            address: listener.local_addr().unwrap(),
            wanted: AtomicBool::new(true),
            listening: AtomicBool::new(true),
            ended: AtomicBool::new(false),
            open: Mutex::default(),
            active: AtomicUsize::new(0),
            budget: Mutex::new(None),
            lose: AtomicBool::new(false),
            conduct: Mutex::new(Conduct::Prompt),
            hurry: AtomicBool::new(false),
            cause: Mutex::new(Cause::Start),
        });
        let of_thread = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&of_thread, Some(listener)));
        Receiver { shared, acceptor: Some(acceptor) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.shared.address.port()
    }

    /// Sets the cause that later connections are attributed to.
    pub(crate) fn after(&self, cause: Cause) {
        if cause == Cause::KillUnsaved {
            self.shared.ledger.expect_duplicates();
        }
        *self.shared.cause.lock().unwrap() = cause;
    }

    /// Sets the conduct on later connections.
    pub(crate) fn conduct(&self, conduct: Conduct) {
        *self.shared.conduct.lock().unwrap() = conduct;
    }

    pub(crate) fn current_conduct(&self) -> Conduct {
        *self.shared.conduct.lock().unwrap()
    }

    /// Cuts a connection after this many more bytes.
    pub(crate) fn cut(&self, bytes: u64) {
        *self.shared.budget.lock().unwrap() = Some(bytes);
    }

    /// Reads the next request, and closes the connection instead of an ack.
    pub(crate) fn lose_ack(&self) {
        self.shared.lose.store(true, Ordering::Release);
    }

    /// Closes all connections and the port.
    pub(crate) fn close_port(&self) {
        self.shared.wanted.store(false, Ordering::Release);
        self.until(|shared| !shared.listening.load(Ordering::Acquire));
        self.shared.close();
        self.drain();
    }

    pub(crate) fn reopen(&self) {
        self.shared.wanted.store(true, Ordering::Release);
        self.until(|shared| shared.listening.load(Ordering::Acquire));
    }

    /// Waits until all bytes sent by killed clients are processed.
    pub(crate) fn drain(&self) {
        self.shared.hurry.store(true, Ordering::Release);
        self.until(|shared| shared.active.load(Ordering::Acquire) == 0);
        self.shared.hurry.store(false, Ordering::Release);
    }

    fn until(&self, holds: impl Fn(&Shared) -> bool) {
        let start = Instant::now();
        while !holds(&self.shared) {
            assert!(start.elapsed() < Duration::from_secs(20), "the receiver hangs");
            std::thread::sleep(TICK);
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if let Some(acceptor) = self.acceptor.take() {
            _ = acceptor.join();
        }
        self.shared.close();
    }
}

impl Shared {
    fn close(&self) {
        for stream in self.open.lock().unwrap().iter().flatten() {
            _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn serve(&self, stream: TcpStream) {
        let cause = *self.cause.lock().unwrap();
        let connection = self.ledger.add_connection(cause);
        let conduct = *self.conduct.lock().unwrap();
        let (budget, throttle, hurry) = (&self.budget, conduct.throttle(), &self.hurry);
        let mut wire = ReceiverStream { stream, budget, throttle, hurry, cut: false };
        let shaken = conduct.greeting().map_or(Ok(()), |greeting| wire.shake_hands(&greeting));
        let mut requests = 0;
        let take = |frame: &Frame<'_>| {
            self.ledger.take(connection, frame);
            requests += 1;
            if let Some(delay) = conduct.ack_delay(requests).filter(|_| !self.hurry.load(Ordering::Acquire)) {
                std::thread::sleep(delay);
            }
            let lost = self.lose.swap(false, Ordering::AcqRel);
            if lost {
                self.set_cause(Cause::LostAck);
            }
            Ok(if lost { Response::Close } else { Response::Ack })
        };
        let served = shaken.and_then(|()| serve(&mut wire, &mut Totals::default(), take));
        if wire.cut {
            self.set_cause(Cause::Cut);
        } else if let Err(error) = served
            && error.kind() == io::ErrorKind::InvalidData
        {
            self.ledger.problem(format!("a bad request: {error}"));
        }
    }

    fn set_cause(&self, cause: Cause) {
        *self.cause.lock().unwrap() = cause;
    }
}

/// Accepts connections while the port is wanted.
fn accept(shared: &Arc<Shared>, first: Option<std::net::TcpListener>) {
    let mut listener = first;
    while !shared.ended.load(Ordering::Acquire) {
        match (&listener, shared.wanted.load(Ordering::Acquire)) {
            (Some(_), false) => {
                listener = None;
                shared.listening.store(false, Ordering::Release);
            }
            (None, true) => {
                listener = Some(listen(shared.address));
                shared.listening.store(true, Ordering::Release);
            }
            (None, false) => std::thread::sleep(TICK),
            (Some(listener), true) => {
                listener.set_nonblocking(true).unwrap();
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(TICK);
                    continue;
                };
                shared.active.fetch_add(1, Ordering::AcqRel);
                let shared = Arc::clone(shared);
                let place = {
                    let mut open = shared.open.lock().unwrap();
                    open.push(stream.try_clone().ok());
                    open.len() - 1
                };
                std::thread::spawn(move || {
                    shared.serve(stream);
                    // A second handle would keep the connection open.
                    shared.open.lock().unwrap()[place] = None;
                    shared.active.fetch_sub(1, Ordering::AcqRel);
                });
            }
        }
    }
}
