//! The trust of the operator in inputs: the pods whose output counts as the host's, and the inputs that are vouched for.

use std::fmt;
use std::str::FromStr;

/// The inputs that count as the host's, and those that do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The pods whose output counts as the host's.
    pub pods: Vec<PodPattern>,
    /// The named inputs are the host's, also the files of containers.
    pub vouch: bool,
    /// No named input is the host's. This outweighs the other fields.
    pub untrusted: bool,
}

/// The pods that are trusted by default: Kata's own, in the namespaces where its charts install them.
const DEFAULT_PODS: [(&str, &str); 4] = [
    ("kube-system", "kata-monitor*"),
    ("kube-system", "kata-deploy*"),
    ("kata-system", "kata-monitor*"),
    ("kata-system", "kata-deploy*"),
];

impl Default for Trust {
    fn default() -> Self {
        let pattern = |(namespace, pod): (&str, &str)| PodPattern { namespace: namespace.into(), pod: pod.into() };
        Trust { pods: DEFAULT_PODS.map(pattern).into(), vouch: false, untrusted: false }
    }
}

impl Trust {
    /// Returns whether the operator trusts a pod.
    pub(super) fn trusts_pod(&self, namespace: &str, pod: &str) -> bool {
        self.pods.iter().any(|pattern| pattern.matches(namespace, pod))
    }
}

/// Pods by namespace and name, written `NS/GLOB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPattern {
    namespace: String,
    /// The name, with `*` and `?`.
    pod: String,
}

impl PodPattern {
    /// Returns whether a pod is meant.
    #[must_use]
    pub fn matches(&self, namespace: &str, pod: &str) -> bool {
        self.namespace == namespace && matches_glob(self.pod.as_bytes(), pod.as_bytes())
    }
}

impl fmt::Display for PodPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.pod)
    }
}

/// A text that is no [`PodPattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no pods: write NS/GLOB, such as kube-system/kata-monitor*; only GLOB may have * and ?")]
pub struct PodPatternError {
    text: String,
}

impl FromStr for PodPattern {
    type Err = PodPatternError;

    fn from_str(text: &str) -> Result<Self, PodPatternError> {
        // Kubernetes: names are labels of DNS, so a path separator or an underscore is a mistake.
        let in_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let named = text.split_once('/').filter(|(namespace, pod)| {
            let whole = !namespace.is_empty() && !pod.is_empty();
            let glob = |byte: u8| in_name(byte) || matches!(byte, b'*' | b'?');
            whole && namespace.bytes().all(in_name) && pod.bytes().all(glob)
        });
        match named {
            Some((namespace, pod)) => Ok(PodPattern { namespace: namespace.to_owned(), pod: pod.to_owned() }),
            None => Err(PodPatternError { text: text.to_owned() }),
        }
    }
}

/// Returns whether a name matches a pattern in which `*` stands for any bytes and `?` for one byte.
pub(super) fn matches_glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    // The last `*`, and the bytes of the name that it covers. An earlier `*` never has to cover more.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(at) {
        match pattern.get(of) {
            Some(b'*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(expected) if *expected == b'?' || expected == byte => (at, of) = (at + 1, of + 1),
            _ => {
                let Some((place, covered)) = star else { return false };
                star = Some((place, covered + 1));
                (at, of) = (covered + 1, place + 1);
            }
        }
    }
    pattern.get(of..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_trusted_by_namespace_and_name_together() {
        let trust = Trust::default();
        for (namespace, pod, trusted) in [
            ("kube-system", "kata-monitor-x7k2p", true),
            ("kube-system", "kata-deploy", true),
            ("kata-system", "kata-deploy-abcde", true),
            ("default", "kata-monitor-x7k2p", false),
            ("kube-system2", "kata-monitor", false),
            ("kube-system", "my-kata-monitor", false),
            ("kube-system", "", false),
        ] {
            assert_eq!(trust.trusts_pod(namespace, pod), trusted, "{namespace}/{pod}");
        }
    }

    #[test]
    fn patterns_are_read_and_refused() {
        let pattern: PodPattern = "ops/kata-?-*".parse().unwrap();
        assert!(pattern.matches("ops", "kata-a-b") && !pattern.matches("ops", "kata-ab"));
        assert_eq!(pattern.to_string(), "ops/kata-?-*");
        for text in ["", "kata", "/kata", "ops/", "*/kata", "ops/a/b", "ops/a_b", "Ops/a", "ops/[ab]"] {
            let error = text.parse::<PodPattern>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} names no pods: write NS/GLOB")), "{error}");
        }
    }

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name, matches) in [
            ("*", "", true),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("?", "", false),
            ("a?c", "abc", true),
            ("*.log*", "0.log.20240506", true),
            ("abc", "abcd", false),
            ("**a", "bca", true),
        ] {
            assert_eq!(matches_glob(pattern.as_bytes(), name.as_bytes()), matches, "{pattern} {name}");
        }
    }
}
