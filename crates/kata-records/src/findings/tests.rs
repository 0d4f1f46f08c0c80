use super::*;
use crate::{Batch, Chunk, Rules, Settings, Worker};

const GUEST: &str = "time=\"2024-03-05T05:01:50Z\" level=error msg=\"reading guest console\" name=containerd-shim-v2 pid=1 \
                     sandbox=guest source=virtcontainers subsystem=sandbox vmconsole=\"panic\"";

/// Returns an error of the host. Without a valid second it has no time.
fn error(second: u8, sandbox: &str, message: &str) -> String {
    if second > 59 {
        return format!(
            r#"{{"msg":{message:?},"level":"ERRO","ts":"-","name":"kata-runtime","source":"{sandbox}","pid":"1"}}"#
        );
    }
    format!(
        "time=\"2024-03-05T05:01:{second:02}Z\" level=error msg={message:?} name=containerd-shim-v2 pid=1 sandbox={sandbox} source=virtcontainers"
    )
}

/// Returns the findings of these lines, as one chunk.
fn found(lines: &[String]) -> Findings {
    let rules = Rules::new(&Settings { findings: true, ..Settings::default() }).unwrap();
    let (mut batch, mut chunk) = (Batch::default(), Chunk::default());
    lines.iter().for_each(|line| assert!(batch.push_line(line.as_bytes())));
    Worker::new(&rules).run(&batch, &mut chunk);
    chunk.findings
}

fn errors(lines: &[String]) -> Errors {
    let mut errors = Errors::default();
    errors.add(&found(lines));
    errors
}

fn ends(errors: &Errors) -> Option<[String; 2]> {
    Some(errors.ends()?.map(|sample| String::from_utf8(sample.message.clone()).unwrap()))
}

fn sample() -> Vec<String> {
    vec![
        error(60, "a", "no time"),
        error(20, "b", "second 20"),
        error(10, "a", "second 10"),
        GUEST.to_owned(),
        error(20, "b", "second 20 again"),
        error(15, "c", "second 15"),
        "time=\"2024-03-05T05:01:55Z\" level=warning msg=x name=containerd-shim-v2 sandbox=d source=virtcontainers"
            .to_owned(),
    ]
}

#[test]
fn errors_of_the_host_have_rows_and_ends() {
    let errors = errors(&sample());
    assert_eq!(errors.sandboxes(2), (vec![(&b"a"[..], 2), (b"b", 2)], 1));
    assert_eq!(errors.sandboxes(9).0.len(), 3, "neither the guest's error nor the warning has a row");
    assert_eq!(ends(&errors).unwrap(), ["second 10", "second 20 again"]);
    assert_eq!(ends(&super::Errors::default()), None);
}

#[test]
fn cuts_of_the_chunks_change_nothing() {
    let (lines, whole) = (sample(), errors(&sample()));
    for cut in 0..=lines.len() {
        let (mut parts, mut runs) = (Errors::default(), Errors::default());
        for part in [&lines[..cut], &lines[cut..]] {
            parts.add(&found(part));
            runs.merge(&errors(part));
        }
        assert_eq!((&parts, &runs), (&whole, &whole), "cut at {cut}");
    }
}

#[test]
fn parts_of_chunks_are_taken_or_dropped() {
    let (mut from, mut out) = (found(&sample()), Findings::default());
    for (entry, event) in from.events.iter_mut().enumerate() {
        event.entry = entry;
    }
    from.take(2, Some(&mut out));
    from.take(4, None);
    from.take(usize::MAX, Some(&mut out));
    let texts = String::from_utf8(out.text.clone()).unwrap();
    assert_eq!(out.events.len() + 2, from.events.len());
    assert!(texts.starts_with("ano time") && texts.ends_with("csecond 15"), "{texts}");
    let mut taken = Errors::default();
    taken.add(&out);
    assert_eq!(ends(&taken).unwrap()[1], "second 20 again");
    out.clear();
    assert_eq!(out.flaws().count() + out.events.len() + out.text.len(), 0);
    assert!(out.size() > 0);
}

#[test]
fn the_first_entry_with_each_flaw_is_known() {
    let lines = ["msg=sound", "msg=\"cut", "msg=\"cut again", "level=x msg=a"].map(str::to_owned);
    let findings = found(&lines);
    let flaws: Vec<_> = findings.flaws().map(|(flaw, offset, place)| (flaw, offset, place.is_some())).collect();
    assert!(flaws.contains(&("no-time", 0, false)) && flaws.contains(&("unterminated-quote", 10, false)), "{flaws:?}");
    assert!(flaws.contains(&("bad-level", 34, false)), "{flaws:?}");
    assert_eq!(flaws.iter().filter(|(flaw, ..)| *flaw == "unterminated-quote").count(), 1);
}

#[test]
fn an_error_without_a_message_shows_its_cause() {
    let silent = error(1, "a", "") + " error=\"no space\"";
    assert_eq!(ends(&errors(&[silent])).unwrap(), ["no space", "no space"]);
}

#[test]
fn memory_is_bounded_whatever_the_ids_and_messages_are() {
    let long = errors(&[error(1, &"s".repeat(5000), &"é".repeat(5000))]);
    let [first, _] = long.ends().unwrap();
    assert!(first.sandbox.len() <= MAX_SANDBOX && first.message.len() <= MAX_MESSAGE);
    assert!(std::str::from_utf8(&first.message).unwrap().ends_with("é…"));
    let mut many = Errors::default();
    let lines: Vec<String> = (0..MAX_SANDBOXES + 10).map(|number| error(1, &format!("s{number}"), "x")).collect();
    lines.chunks(500).for_each(|lines| many.add(&found(lines)));
    many.add(&found(&[error(1, "s0", "x"), error(1, "s0", "x")]));
    assert_eq!(many.sandboxes.len(), MAX_SANDBOXES);
    let (top, others) = many.sandboxes(1);
    assert_eq!((top, others), (vec![(&b"s0"[..], 3)], (MAX_SANDBOXES - 1 + 10) as u64));
}
