//! Options that decide whose word counts as the host's.

use super::ConfigError;
use super::command::READERS;
use super::declaration::{Clash, List, Need, Single, is, list, options, switch};
use super::layers::Options;
use super::output::ENTRIES;
use super::{journal, parse};
use crate::source::{PodPattern, Trust};

/// The largest user id. journald and the kernel reserve the next one for "no user".
const MAX_UID: u32 = u32::MAX - 1;

options! {
    "Trust";

    /// Users whose journal entries count as the host's; repeatable
    ///
    /// Numbers of users (_UID). The flag adds to the default, root (0), so that rootless containerd can be trusted beside it.
    /// Entries of other users are `unproven`, whatever their identifiers are.
    TRUSTED_UIDS "trusted-uids": List<u32> =
        list("UID", is!("0"), |text| parse::number(text, 0..=MAX_UID)).adds().of(READERS).idle(&[ENTRIES]);

    /// Pods whose output counts as the host's; repeatable
    ///
    /// A namespace, and a name in which `*` matches any characters and `?` one. The flag adds to the default: kata-monitor*
    /// and kata-deploy* in kube-system and kata-system. The output of other containers is not Kata's: --others says what happens
    /// to it.
    TRUSTED_PODS "trusted-pods": List<PodPattern> =
        list("NS/GLOB", || Trust::default().pods.iter().map(PodPattern::to_string).collect(), parse::from_str).adds().of(READERS)
            .needs(&[Need { what: "an INPUT or standard input: the journal of this machine has no output of pods", met: named }])
            .idle(&[ENTRIES]);

    /// Count the inputs as the host's word, even the output of containers
    ///
    /// For the log of a container that belongs to the host, under a name that does not say so.
    VOUCH "vouch": Single<bool> = switch().of(READERS).needs(&[NAMED]).idle(&[ENTRIES]);

    /// Count no input as the host's word
    ///
    /// For files that somebody else sent. Their records have no origin but `guest`, `tenant` and `unproven`.
    UNTRUSTED "untrusted": Single<bool> = switch().of(READERS).needs(&[NAMED]).idle(&[ENTRIES]).clashes(&[Clash {
        with: "vouch",
        when: |options| Ok(options.get(&UNTRUSTED)? && options.get(&VOUCH)?),
        why: "--vouch trusts the inputs",
    }]);
}

/// An input that the user names.
const NAMED: Need = Need {
    what: "an INPUT or standard input: in the journal of this machine, journald says who wrote an entry",
    met: named,
};

/// Returns whether the command has an input other than the journal of this machine.
fn named(options: &Options) -> Result<bool, ConfigError> {
    Ok(!options.inputs.is_empty() || !journal::is_only_input(options)?)
}

/// Returns the trust in the inputs.
pub(super) fn settings(options: &Options) -> Result<Trust, ConfigError> {
    Ok(Trust { pods: options.get(&TRUSTED_PODS)?, vouch: options.get(&VOUCH)?, untrusted: options.get(&UNTRUSTED)? })
}

/// Returns the trusted users.
pub(super) fn uids(options: &Options) -> Result<Vec<u32>, ConfigError> {
    let mut uids = options.get(&TRUSTED_UIDS)?;
    uids.sort_unstable();
    uids.dedup();
    Ok(uids)
}
