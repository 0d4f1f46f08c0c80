//! The DaemonSet: valid manifests, minimal rights, and arguments and a configuration that the program accepts.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{katalog, kubernetes};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The documents of the base by their kind.
struct Base {
    validator: PathBuf,
    manifests: Vec<PathBuf>,
    documents: Vec<Value>,
}

impl Base {
    /// Returns `None` with a notice if Python is missing.
    fn read() -> Option<Base> {
        let validator = kubernetes::validator()?;
        let documents = |path: &Path| kubernetes::documents(&validator, path);
        let kustomization = documents(&file("kubernetes/base/kustomization.yaml")).remove(0);
        let names = kustomization["resources"].as_array().unwrap();
        let manifests: Vec<PathBuf> =
            names.iter().map(|name| file("kubernetes/base").join(name.as_str().unwrap())).collect();
        let documents = manifests.iter().flat_map(|path| documents(path)).collect();
        Some(Base { validator, manifests, documents })
    }

    fn kind(&self, kind: &str) -> &Value {
        self.documents.iter().find(|document| document["kind"] == kind).unwrap()
    }

    fn pod(&self) -> &Value {
        &self.kind("DaemonSet")["spec"]["template"]
    }
}

/// Returns the item with this name in a list.
fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    list.as_array().unwrap().iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

/// Fails unless the program accepts these arguments with this configuration file.
fn is_taken(arguments: &[&str], configuration: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("katalog.toml");
    fs::write(&path, configuration).unwrap();
    let [command, flags @ ..] = arguments else { panic!("no command") };
    let mut check = katalog();
    let output = check.args(["config", "--check", command, "--config"]).arg(&path).args(flags).output().unwrap();
    assert!(output.status.success(), "{}\n{configuration}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_daemonset_is_what_kubernetes_admits_and_has_no_privileges() {
    let Some(base) = Base::read() else { return };
    base.manifests.iter().for_each(|manifest| kubernetes::validate(&base.validator, manifest));
    let (pod, spec) = (base.pod(), &base.pod()["spec"]);
    kubernetes::has_no_privileges(pod);
    assert_eq!(spec["tolerations"], json!([{ "operator": "Exists" }]));
    assert_eq!(base.kind("ServiceAccount")["automountServiceAccountToken"], false);
    assert_eq!(base.kind("ServiceAccount")["metadata"]["name"], spec["serviceAccountName"]);
    assert_eq!(pod["metadata"]["labels"], base.kind("DaemonSet")["spec"]["selector"]["matchLabels"]);
    // The one container that runs as root has one capability and one directory.
    let [init] = spec["initContainers"].as_array().unwrap().as_slice() else { panic!("one is enough") };
    assert_eq!(init["securityContext"]["capabilities"], json!({ "drop": ["ALL"], "add": ["CHOWN"] }));
    assert_eq!(init["volumeMounts"].as_array().unwrap().len(), 1);
    let user = &spec["securityContext"];
    let owner = format!("{}:{}", user["runAsUser"], user["runAsGroup"]);
    assert_eq!(init["command"], json!(["chown", owner, init["volumeMounts"][0]["mountPath"]]));
    // The image has the same user.
    let containerfile = fs::read_to_string(file("Containerfile")).unwrap();
    assert!(containerfile.contains(&format!("\nUSER {owner}\n")));
}

#[test]
fn only_the_position_is_written_to() {
    let Some(base) = Base::read() else { return };
    let spec = &base.pod()["spec"];
    let container = &spec["containers"][0];
    for mount in container["volumeMounts"].as_array().unwrap() {
        let volume = named(&spec["volumes"], mount["name"].as_str().unwrap());
        assert_eq!(mount["readOnly"] == true, mount["name"] != "state", "{mount}");
        // Paths equal those on the host, so that messages are true on both sides.
        if let Some(path) = volume.get("hostPath") {
            assert_eq!(path["path"], mount["mountPath"]);
        }
    }
    let kind = |name| &named(&spec["volumes"], name)["hostPath"]["type"];
    // A node may lack one of the journals, but not its machine id.
    assert_eq!((kind("journal"), kind("volatile-journal")), (&Value::Null, &Value::Null));
    assert_eq!((kind("machine-id"), kind("state")), (&json!("File"), &json!("DirectoryOrCreate")));
}

#[test]
fn the_program_takes_arguments_and_configuration() {
    let Some(base) = Base::read() else { return };
    let spec = &base.pod()["spec"];
    let container = &spec["containers"][0];
    assert_eq!(named(&container["env"], "NODE_NAME")["valueFrom"]["fieldRef"]["fieldPath"], "spec.nodeName");
    let (map, mount) = (base.kind("ConfigMap"), named(&container["volumeMounts"], "config"));
    assert_eq!(named(&spec["volumes"], "config")["configMap"]["name"], map["metadata"]["name"]);
    let config = format!("--config={}/katalog.toml", mount["mountPath"].as_str().unwrap());
    let state = named(&container["volumeMounts"], "state")["mountPath"].as_str().unwrap();
    let port = named(&container["ports"], "http")["containerPort"].as_u64().unwrap();
    let listen = format!("--listen=0.0.0.0:{port}");
    let arguments: Vec<String> = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap().replace("$(NODE_NAME)", "node"))
        .collect();
    for argument in [&config, &listen, &format!("--state-dir={state}")] {
        assert!(arguments.contains(argument), "{argument}");
    }
    assert_eq!(arguments[0], "ship");
    let ours = arguments.iter().filter(|argument| **argument != config);
    is_taken(&ours.map(String::as_str).collect::<Vec<_>>(), map["data"]["katalog.toml"].as_str().unwrap());
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"], json!({ "path": path, "port": "http" }));
    }
}

#[test]
fn the_kustomization_of_the_readme_changes_what_is_there() {
    let Some(base) = Base::read() else { return };
    let text = fs::read_to_string(file("kubernetes/README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let parsed = |text: &str| {
        let path = folder.path().join("part.yaml");
        fs::write(&path, text).unwrap();
        kubernetes::documents(&base.validator, &path).remove(0)
    };
    let kustomization = parsed(text.split_once("```yaml\n").unwrap().1.split_once("```").unwrap().0);
    let image = base.pod()["spec"]["containers"][0]["image"].as_str().unwrap();
    assert_eq!(image.rsplit_once(':').unwrap().0, kustomization["images"][0]["name"]);
    let mut configurations = 0;
    for patch in kustomization["patches"].as_array().unwrap() {
        let target = base.kind(patch["target"]["kind"].as_str().unwrap());
        assert_eq!(target["metadata"]["name"], patch["target"]["name"]);
        for change in parsed(patch["patch"].as_str().unwrap()).as_array().unwrap() {
            let path = change["path"].as_str().unwrap();
            assert!(target.pointer(path).is_some(), "there is no {path}");
            if path == "/data/katalog.toml" {
                is_taken(&["ship", "--state-dir", "/state"], change["value"].as_str().unwrap());
                configurations += 1;
            }
        }
    }
    assert_eq!(configurations, 1);
}
