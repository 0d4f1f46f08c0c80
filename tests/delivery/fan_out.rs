//! Several servers that each get everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::spool::start_with_input;
use super::{Running, append_file, complete, lines, number, run, wait_until, whole, write_file};
use crate::support::forward::handshake::Greeting;
use crate::support::forward::{Event, Reply, Script, Server};
use crate::support::journal::samples::{BOOT, service};
use crate::support::journal::{Shape, State, file};
use crate::support::katalog;

/// Returns a command that ships everything to each of these servers, with these flags.
fn to_each(urls: &[&str], flags: &[&str]) -> Command {
    let mut command = katalog();
    command.args(["ship", "--fan-out", "--batch-size", "4K", "--batch-age", "50ms"]);
    urls.iter().for_each(|url| _ = command.args(["--to", url]));
    command.args(flags);
    command
}

/// Two servers of which the second is away, and a folder with a state and inputs.
struct Two {
    near: Server,
    far: std::net::SocketAddr,
    folder: tempfile::TempDir,
}

impl Two {
    fn new() -> Two {
        let far = Server::apart(Script::default()).stop();
        Two { near: Server::start(Script::default()), far, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn far_url(&self) -> String {
        format!("forward://{}", self.far)
    }

    /// Returns a command that remembers its positions.
    fn command(&self, flags: &[&str], input: &Path) -> Command {
        let mut command = to_each(&[&self.near.url(), &self.far_url()], flags);
        command.arg("--state-dir").arg(self.path("state")).arg(input);
        command
    }

    /// Returns a command that remembers its positions and has a spool.
    fn spooled(&self, flags: &[&str], input: &Path) -> Command {
        let mut command = self.command(flags, input);
        command.arg("--spool").arg(self.path("spool"));
        command
    }

    /// Starts the server that is away.
    fn far(&self) -> Server {
        Server::on(self.far, Script::default())
    }

    /// Waits until the state says that the near server is ahead.
    fn wait_for_lead(&self) {
        wait_until("the position of the near server", || {
            let state = fs::read(self.path("state/state.json")).unwrap_or_default();
            let state: serde_json::Value = serde_json::from_slice(&state).unwrap_or_default();
            let near = &state["servers"][self.near.url()];
            let ahead = |own: &serde_json::Value, all: &serde_json::Value| !own.is_null() && own != all;
            ahead(&near["files"][0]["offset"], &state["files"][0]["offset"])
                || ahead(&near["journal"]["passed"], &state["journal"]["passed"])
        });
    }
}

#[track_caller]
fn ends_well(running: Running) {
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
}

/// Waits until the server gets nothing more for some time, and returns the number of its events.
fn standstill(server: &Server) -> usize {
    let mut before = 0;
    wait_until("a standstill", || {
        let count = server.log().events.len();
        std::thread::sleep(Duration::from_millis(300));
        std::mem::replace(&mut before, count) == count && count > 0
    });
    before
}

fn numbers(events: &[Event]) -> Vec<usize> {
    events.iter().map(number).collect()
}

#[test]
fn each_server_gets_everything_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..3000));
    let servers = [(); 3].map(|()| Server::start(Script::default()));
    let urls = servers.each_ref().map(Server::url);
    let mut command = to_each(&urls.each_ref().map(String::as_str), &["--once", "--tag", "kata", "--stats", "json"]);
    let (code, errors) = run(command.arg("--state-dir").arg(folder.path().join("state")).arg(&log));
    assert_eq!(code, Some(0), "{errors}");
    for server in &servers {
        assert_eq!(numbers(&server.events()), (0..3000).collect::<Vec<_>>());
    }
    let (code, _) = run(command.arg(&log));
    assert_eq!((code, servers[0].events().len()), (Some(0), 3000), "nothing is new");
}

#[test]
fn a_server_that_is_away_does_not_stop_the_others() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..500));
    let running = Running::start(&mut two.spooled(&["--tag", "kata"], &log));
    for count in (500..3000).step_by(500) {
        two.near.wait_for_events(count);
        append_file(&log, lines(count..count + 500));
    }
    two.near.wait_for_events(3000);
    let far = two.far();
    far.wait_for_events(3000);
    ends_well(running);
    for server in [&two.near, &far] {
        assert_eq!(numbers(&server.events()), (0..3000).collect::<Vec<_>>());
    }
}

#[test]
fn without_a_spool_the_slowest_server_stops_the_reading() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..5000));
    let running = Running::start(&mut two.command(&[], &log));
    assert!(standstill(&two.near) < 5000);
    let far = two.far();
    far.wait_for_events(5000);
    two.near.wait_for_events(5000);
    ends_well(running);
    assert_eq!((complete(&two.near.events(), 0..5000), complete(&far.events(), 0..5000)), (0, 0));
}

#[test]
fn each_server_goes_on_from_its_own_position() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..20));
    let running = Running::start(&mut two.command(&[], &log));
    two.near.wait_for_events(20);
    two.wait_for_lead();
    running.kill();
    let far = two.far();
    let running = Running::start(&mut two.command(&[], &log));
    far.wait_for_events(20);
    append_file(&log, lines(20..30));
    far.wait_for_events(30);
    two.near.wait_for_events(30);
    ends_well(running);
    assert_eq!((complete(&two.near.events(), 0..30), complete(&far.events(), 0..30)), (0, 0));
}

#[test]
fn a_server_that_is_ahead_gets_at_most_a_batch_again() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..20));
    let running = Running::start(&mut two.command(&[], &log));
    two.near.wait_for_events(20);
    two.wait_for_lead();
    running.kill();
    // One batch has records that the near server has, and new ones.
    append_file(&log, lines(20..2000));
    let far = two.far();
    let running = Running::start(&mut two.command(&[], &log));
    far.wait_for_events(2000);
    wait_until("the last record", || two.near.events().iter().any(|event| number(event) == 1999));
    ends_well(running);
    assert_eq!(complete(&far.events(), 0..2000), 0);
    let again = complete(&two.near.events(), 0..2000);
    assert!(again <= 20, "{again}");
}

#[test]
fn a_rotated_file_is_read_for_the_server_that_is_behind() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..20));
    let command = |flags: &[&str]| {
        let mut command = two.command(&["--tag", "kata"], &log);
        command.args(flags);
        command
    };
    let running = Running::start(&mut command(&[]));
    two.near.wait_for_events(20);
    two.wait_for_lead();
    running.kill();
    fs::rename(&log, two.path("kata.log.1")).unwrap();
    fs::write(&log, lines(20..30)).unwrap();
    let far = two.far();
    for _ in 0..2 {
        let (code, errors) = run(&mut command(&["--once"]));
        assert_eq!(code, Some(0), "{errors}");
        for server in [&two.near, &far] {
            assert_eq!(numbers(&server.events()), (0..30).collect::<Vec<_>>());
        }
    }
}

#[test]
fn kills_lose_nothing_for_any_server() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..6000));
    let slow = Script::default().replies(|_| Reply::Late(Duration::from_millis(3)));
    let far = Server::on(two.far, slow);
    for spooled in [false, true] {
        let before = (two.near.events().len(), far.events().len());
        for kill in 1..6 {
            let mut command = if spooled { two.spooled(&[], &log) } else { two.command(&[], &log) };
            let running = Running::start(&mut command);
            let server = if kill % 2 == 0 { &two.near } else { &far };
            let count = server.events().len();
            server.wait("some events", |log| log.events.len() > count + 100);
            running.kill();
        }
        let mut command = if spooled { two.spooled(&[], &log) } else { two.command(&[], &log) };
        let (code, errors) = run(command.arg("--once"));
        assert_eq!(code, Some(0), "{errors}");
        let from = if spooled { 6000 } else { 0 };
        for (server, before) in [(&two.near, before.0), (&far, before.1)] {
            let again = complete(&server.events().split_off(before), from..from + 6000);
            // A batch has 4 KiB, and a record more than 100 bytes. A batch that is read has about 4 KiB of lines.
            assert!(again <= 5 * 2 * 80, "{again}");
        }
        append_file(&log, lines(6000..12000));
    }
}

#[test]
fn a_full_spool_drops_for_its_server_alone() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", "");
    let flags = ["--spool-limit", "64K", "--spool-full", "drop", "--stats", "json"];
    let running = Running::start(&mut two.spooled(&flags, &log));
    for count in (0..2000).step_by(40) {
        append_file(&log, lines(count..count + 40));
        two.near.wait_for_events(count + 40);
    }
    assert_eq!(complete(&two.near.events(), 0..2000), 0);
    let far = two.far();
    append_file(&log, lines(2000..2001));
    two.near.wait_for_events(2001);
    standstill(&far);
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    let stats: serde_json::Value = errors.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap();
    let dropped = stats["overflowed"].as_u64().unwrap();
    assert!(dropped > 0, "{errors}");
    assert_eq!(far.events().len() as u64 + dropped, 2001, "{errors}");
}

#[test]
fn a_full_spool_that_waits_stops_the_reading() {
    let two = Two::new();
    let mut command = to_each(&[&two.near.url(), &two.far_url()], &["--spool-limit", "64K", "--spool"]);
    let running = start_with_input(command.arg(two.path("spool")).arg("-"), &lines(0..5000));
    assert!(standstill(&two.near) < 5000);
    let far = two.far();
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!((complete(&two.near.events(), 0..5000), complete(&far.events(), 0..5000)), (0, 0));
}

#[test]
fn a_spool_outlives_a_kill_for_each_server() {
    let two = Two::new();
    let command = |text: &str| {
        let mut command = to_each(&[&two.near.url(), &two.far_url()], &["--spool"]);
        start_with_input(command.arg(two.path("spool")).arg("-"), text)
    };
    let running = command(&lines(0..2000));
    two.near.wait_for_events(2000);
    running.kill();
    let far = two.far();
    let (status, errors) = command("").end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(complete(&far.events(), 0..2000), 0);
    // The last batch may be acknowledged, and still be in the spool.
    assert!(complete(&two.near.events(), 0..2000) <= 160);
    // Records in the spool of a server that is no longer named are not forgotten in silence.
    let address = far.stop();
    let running = command(&lines(2000..2010));
    two.near.wait("the last line", |log| log.events.iter().any(|event| number(event) == 2009));
    running.kill();
    let third = Server::start(Script::default());
    let mut command = to_each(&[&two.near.url(), &third.url()], &["--spool"]);
    let (_, errors) = start_with_input(command.arg(two.path("spool")).arg("-"), "").end();
    assert!(errors.contains(&format!("forward___{}_{}-", address.ip(), address.port())), "{errors}");
    assert!(errors.contains("has records for a server that --fan-out does not deliver to"), "{errors}");
}

#[test]
fn journals_have_positions_for_each_server() {
    let two = Two::new();
    let journal = |count: u64| {
        let entries: Vec<_> = (0..count).map(|number| service(number * 5, BOOT)).collect();
        file(&Shape { state: State::Online, ..Shape::default() }, &entries)
    };
    let path = write_file(two.folder.path(), "system.journal", journal(8));
    let running = Running::start(&mut two.command(&[], &path));
    two.near.wait_for_events(8);
    two.wait_for_lead();
    running.kill();
    let far = two.far();
    let (code, errors) = run(two.command(&["--once"], &path).args(["--lines", "1"]));
    assert_eq!((code, two.near.events().len(), far.events().len()), (Some(0), 8, 8), "{errors}");
    fs::write(&path, journal(11)).unwrap();
    let (code, errors) = run(&mut two.command(&["--once"], &path));
    assert_eq!((code, two.near.events().len(), far.events().len()), (Some(0), 11, 11), "{errors}");
    // The spool holds the entries for the server that is away.
    far.stop();
    fs::write(&path, journal(15)).unwrap();
    let running = Running::start(&mut two.spooled(&[], &path));
    two.near.wait_for_events(15);
    fs::write(&path, journal(20)).unwrap();
    two.near.wait_for_events(20);
    ends_well(running);
    let far = two.far();
    let (code, errors) = run(&mut two.spooled(&["--once"], &path));
    assert_eq!((code, two.near.events().len(), far.events().len()), (Some(0), 20, 9), "{errors}");
}

#[test]
fn a_kill_repeats_nothing_of_a_journal_that_was_not_sent() {
    let two = Two::new();
    let journal = |count: u64| {
        let entries: Vec<_> = (0..count).map(|number| service(number * 5, BOOT)).collect();
        file(&Shape { state: State::Online, ..Shape::default() }, &entries)
    };
    let path = write_file(two.folder.path(), "system.journal", journal(8));
    let command = |flags: &[&str]| {
        let mut command = katalog();
        command.args(["ship", "--fan-out", "--batch-age", "1h", "--to", &two.near.url(), "--to", &two.far_url()]);
        command.arg("--state-dir").arg(two.path("state")).arg("--spool").arg(two.path("spool")).args(flags).arg(&path);
        command
    };
    let running = Running::start(&mut command(&[]));
    let files = || {
        let servers = fs::read_dir(two.path("spool")).into_iter().flatten().map(|entry| entry.unwrap().path());
        let files = servers.filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).unwrap());
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|end| end == "spool")).count()
    };
    // Both servers have a batch that is not due.
    wait_until("both spools", || files() == 2);
    running.kill();
    assert_eq!(two.near.events().len(), 0);
    fs::write(&path, journal(11)).unwrap();
    let far = two.far();
    let (code, errors) = run(&mut command(&["--once"]));
    assert_eq!((code, two.near.events().len(), far.events().len()), (Some(0), 11, 11), "{errors}");
}

#[test]
fn servers_come_and_go() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..20));
    let far = two.far();
    let once = |servers: &[&Server]| {
        let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let flags: &[&str] = if urls.len() > 1 { &["--fan-out"] } else { &[] };
        let mut command = katalog();
        command.args(["ship", "--once", "--state-dir"]).arg(two.path("state")).args(flags);
        urls.iter().for_each(|url| _ = command.args(["--to", url]));
        let (code, errors) = run(command.arg(&log));
        assert_eq!(code, Some(0), "{errors}");
        errors
    };
    let counts = |third: &Server| [&two.near, &far, third].map(|server| server.events().len());
    let third = Server::start(Script::default());
    // A run with one server leaves a position, and all servers begin there.
    once(&[&two.near]);
    assert_eq!(once(&[&two.near, &far]), format!("katalog: nothing new since the last run: {log:?}\n"));
    append_file(&log, lines(20..30));
    once(&[&two.near, &far]);
    assert_eq!(counts(&third), [30, 10, 0]);
    append_file(&log, lines(30..35));
    let errors = once(&[&two.near, &third]);
    let dropped = format!("the position of {} is dropped, because --fan-out no longer delivers to it", far.url());
    assert!(errors.contains(&dropped), "{errors}");
    assert_eq!(counts(&third), [35, 10, 5]);
    append_file(&log, lines(35..37));
    once(&[&two.near, &far, &third]);
    once(&[&far]);
    assert_eq!(counts(&third), [37, 12, 7]);
}

#[test]
fn a_reload_keeps_the_positions() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..20));
    let third = Server::start(Script::default());
    let settings = |urls: &[&str]| format!("fan-out = true\nto = {urls:?}\n");
    let config = write_file(two.folder.path(), "katalog.toml", settings(&[&two.near.url(), &two.far_url()]));
    let mut command = katalog();
    command.args(["ship", "--batch-age", "50ms", "--config"]).arg(&config);
    command.arg("--state-dir").arg(two.path("state")).arg(&log);
    let running = Running::start(&mut crate::support::hearing_hangup(&command));
    two.near.wait_for_events(20);
    // The third server takes the place of the one that is away, and gets all that it lacked.
    fs::write(&config, settings(&[&two.near.url(), &third.url()])).unwrap();
    running.signal("HUP");
    third.wait_for_events(20);
    append_file(&log, lines(20..30));
    third.wait_for_events(30);
    two.near.wait_for_events(30);
    ends_well(running);
    assert_eq!((complete(&two.near.events(), 0..30), complete(&third.events(), 0..30)), (0, 0));
}

#[test]
fn a_server_that_refuses_ends_the_run_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_file(folder.path(), "kata.log", lines(0..10));
    let near = Server::start(Script::default());
    let strict = Server::start(Script::default().greets(Greeting::with_key("key")));
    for urls in [[near.url(), strict.url()], [strict.url(), near.url()]] {
        let before = near.events().len();
        let mut command = whole(&["--fan-out", "--to", &urls[0], "--to", &urls[1]]);
        let (code, errors) = run(command.arg(&log));
        assert_eq!(code, Some(78), "{errors}");
        assert!(errors.contains(&format!("cannot deliver to {}", strict.url())), "{errors}");
        assert_eq!(near.events().len(), before + 10, "{errors}");
    }
}

#[test]
fn a_server_that_refuses_ends_the_run_although_another_one_is_away() {
    let two = Two::new();
    let log = write_file(two.folder.path(), "kata.log", lines(0..5000));
    let strict = Server::start(Script::default().greets(Greeting::with_key("key")));
    let flags = ["--fan-out", "--batch-size", "4K", "--to", &two.far_url(), "--to", &strict.url()];
    let (code, errors) = run(whole(&flags).arg(&log));
    assert_eq!(code, Some(78), "{errors}");
    assert!(errors.contains(&format!("{}: stopped before all was acknowledged", two.far_url())), "{errors}");
}

#[test]
fn an_end_names_each_server_that_lacks_something() {
    let two = Two::new();
    let mut command = to_each(&[&two.near.url(), &two.far_url()], &["-"]);
    let running = start_with_input(&mut command, &lines(0..10));
    two.near.wait_for_events(10);
    running.signal("TERM");
    let (status, errors) = running.end();
    assert_eq!(status.code(), Some(76), "{errors}");
    let says = format!("{}: stopped before all was acknowledged; 10 records in hand", two.far_url());
    assert!(errors.contains(&says) && !errors.contains(&format!("{}: stopped", two.near.url())), "{errors}");
}

#[test]
fn settings_that_do_not_go_together() {
    let both = ["--fan-out", "--to", "forward://a", "--to", "forward://b"];
    for (flags, says) in [
        (&["--fan-out", "--to", "forward://a"][..], "--fan-out has no effect without several servers in --to"),
        (&["--fan-out"], "--fan-out has no effect without several servers in --to"),
        (&[&both[..], &["--spread", "weighted"]].concat(), "each server gets every record"),
        (&[&both[..], &["--to", "forward://c?standby"]].concat(), "leave out `standby`"),
        (&[&both[..], &["--to", "forward://a:24224?mode=gzip"]].concat(), "named twice"),
        (&[&both[..], &["--to", "syslog+tcp://c"]].concat(), "run one `katalog ship` for each protocol"),
    ] {
        let (code, errors) = run(katalog().args(["ship", "--no-state"]).args(flags).arg("x.log"));
        assert_eq!(code, Some(64), "{flags:?}: {errors}");
        assert!(errors.contains(says), "{flags:?}: {errors}");
    }
}
