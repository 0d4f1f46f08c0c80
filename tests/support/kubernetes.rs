//! Manifests of Kubernetes: validation by its schemas, and their content.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::python;

/// The version of the schemas.
const VERSION: &str = "1.33";

/// Returns a Python that can read and validate manifests, or `None` with a notice if it is missing.
pub(crate) fn validator() -> Option<PathBuf> {
    python::with("kubernetes_validate", "tests of manifests")
}

/// Fails unless every document of the manifest satisfies the schemas of Kubernetes, without unknown fields.
pub(crate) fn validate(validator: &Path, manifest: &Path) {
    let mut command = Command::new(validator);
    command.args(["-m", "kubernetes_validate", "--strict", "-k", VERSION]).arg(manifest);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}: {}{}",
        manifest.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Returns the documents of a manifest.
pub(crate) fn documents(validator: &Path, manifest: &Path) -> Vec<Value> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let output = Command::new(validator).args(["-c", script]).arg(manifest).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()))
}

/// Fails if the pods of this template have unnecessary rights.
pub(crate) fn has_no_privileges(template: &Value) {
    let spec = &template["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(spec.get(key).is_none_or(|value| value == false), "{key}");
    }
    for container in spec["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["capabilities"]["drop"][0], "ALL");
        assert!(context.get("privileged").is_none_or(|value| value == false));
        for kind in ["requests", "limits"] {
            assert!(container["resources"][kind]["memory"].is_string(), "{kind}");
        }
    }
}
