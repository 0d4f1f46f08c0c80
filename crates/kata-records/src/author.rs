//! Finds out who wrote an entry: parses its message, decides about its origin, and separates the text of other writers.

use bumpalo::Bump;

use crate::batch::RawEntry;
use crate::component::Component;
use crate::dictionary::TrackedKey;
use crate::envelope::{Entry, Transport};
use crate::normalize::Author;
use crate::origin::{Continuation, Origin, Route};
use crate::parse::{self, Payload, begins_line, console};
use crate::rules::Rules;
use crate::select::{IdentifierKind, behind_host_name};

/// The finding about an entry.
pub(crate) enum Finding<'b> {
    /// A program of Kata wrote the entry, or may have written it.
    Kata(Author<'b>),
    /// Another program wrote the entry.
    Other(Origin),
    /// Another program wrote the entry, and its message does not name a program of Kata.
    Unnamed(Origin),
}

/// Finds the author of an entry, and fills `payload`, which must be empty. `known_kind` is the meaning of the identifier,
/// if a look at the entry has found it.
#[inline(always)]
pub(crate) fn find<'b>(
    rules: &Rules,
    raw: RawEntry<'b>,
    known_kind: Option<IdentifierKind>,
    entry: &mut Entry<'b>,
    payload: &mut Payload<'b>,
    bump: &'b Bump,
) -> Finding<'b> {
    let kind = known_kind.unwrap_or_else(|| rules.select.kind(entry));
    let is_whole = raw.continuation == Continuation::Whole;
    if rules.select.is_others(kind, entry.message) {
        let origin = origin_of_others(rules, raw, kind, entry);
        // The marks that other lines of a manager lack include the names.
        return if kind == IdentifierKind::Other { Finding::Other(origin) } else { Finding::Unnamed(origin) };
    }
    if entry.identifier.is_none() && matches!(kind, IdentifierKind::Own(Some(Component::Virtiofsd))) {
        entry.message = entry.message.map(|message| behind_host_name(message).unwrap_or(message));
    }
    let is_manager = matches!(kind, IdentifierKind::Manager) || matches!(raw.route, Route::Manager);
    parse::parse(entry, rules.input_format, bump, payload);
    if is_manager && payload.keys.has(TrackedKey::STREAM) {
        unpack_supervised(rules, entry, payload, bump);
    }
    let origin = match rules.trust.origin(entry, kind, raw.route, payload) {
        Origin::Host | Origin::Vouched if !is_whole => Origin::Unproven,
        origin => origin,
    };
    if origin == Origin::Tenant {
        return Finding::Other(origin);
    }
    let may_speak = entry.user.is_none() || rules.trust.has_user(entry);
    let is_peer_pod = matches!(kind, IdentifierKind::Own(Some(Component::Agent))) && may_speak;
    let wrapped_by_host = origin.is_of_host() || is_peer_pod;
    if is_peer_pod {
        // The journal of a peer pod's machine is the guest's own.
        console::all_of_agent(payload);
    } else if wrapped_by_host || entry.user.is_none() {
        // In a copy, nobody but a guest gains by a line that says that it is a guest's.
        console::unpack(entry, payload, wrapped_by_host, bump);
        if wrapped_by_host && is_manager {
            console::unpack_error(payload, bump);
        }
    }
    console::add_ids(payload, bump);
    let Some(component) = rules.select.component(kind, entry, payload, bump) else {
        return Finding::Other(origin_of_others(rules, raw, kind, entry));
    };
    let origin = match origin {
        _ if payload.guest => Origin::Guest,
        _ if payload.is_ambiguous => Origin::Unproven,
        origin => origin,
    };
    let component = if origin == Origin::Unproven { Component::Unknown } else { component };
    let is_own_process =
        wrapped_by_host && entry.from_journal && matches!(entry.transport, Transport::Syslog | Transport::Journal);
    Finding::Kata(Author {
        component,
        origin,
        wrapped_by_host,
        timed_by_runtime: raw.route == Route::TrustedPod && entry.from_container,
        process: entry.process.filter(|_| is_own_process),
    })
}

/// Returns the origin of an entry of another program.
fn origin_of_others(rules: &Rules, raw: RawEntry<'_>, kind: IdentifierKind, entry: &Entry<'_>) -> Origin {
    match rules.trust.origin_of_others(entry, kind, raw.route) {
        Origin::Host | Origin::Vouched if raw.continuation != Continuation::Whole => Origin::Unproven,
        origin => origin,
    }
}

/// Replaces a line of a supervisor by the line of a container manager that it carries.
#[cold]
#[inline(never)]
fn unpack_supervised<'b>(rules: &Rules, entry: &mut Entry<'b>, payload: &mut Payload<'b>, bump: &'b Bump) {
    if entry.message.is_some_and(begins_line)
        && let Some(line) = parse::supervised(payload, bump)
    {
        entry.message = Some(line);
        payload.clear();
        parse::parse(entry, rules.input_format, bump, payload);
    }
}
