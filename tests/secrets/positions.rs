//! The places of secrets in what Kata's programs log.

/// A text in which `#` stands for the secret.
pub(super) struct Position {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    /// The words that stay readable.
    pub(super) keeps: &'static [&'static str],
}

macro_rules! positions {
    ($($name:literal, $text:literal, $keeps:expr;)+) => {
        &[$(Position { name: $name, text: $text, keeps: &$keeps },)+]
    };
}

pub(super) const TEXTS: &[Position] = positions! {
    "environment of a spec", r##"receive createcontainer, spec: Spec { version: "1.0.2", process: Some(Process { args: ["sh", "-c", "id"], env: Some(["PATH=#", "DB_PASSWORD=#"]), cwd: "/work" }), hostname: Some("pod-1") }"##,
        ["receive createcontainer", "1.0.2", "DB_PASSWORD", "/work", "pod-1"];
    "environment of runtime-rs", r##"OCI Spec Spec { process: Some(Process { env: ["A=#", "B=#"], cwd: "/work" }) } within CreateContainerRequest."##,
        ["OCI Spec", "/work", "within CreateContainerRequest"];
    "environment in JSON", r##"request {"OCI":{"Process":{"Args":["sh"],"Env":["A=#","B=#"],"Cwd":"/work"}}}"##,
        ["request", "Args", "/work"];
    "environment in protobuf text", r##"request OCI:<Process:<Args:"sh" Env:"A=#" Env:"B=#" Cwd:"/work" > >"##, ["request OCI", "sh", "/work"];
    "environment as Go prints it", "process {Args:[sh -c id] Env:[A=# B=# x] Cwd:/work}", ["process", "sh -c id", "/work"];
    "environment of an exec", r##"====> task service ExecProcess(ExecProcessRequest { process: Process { args: ["sh"], env: ["A=#"], cwd: "/work" } })"##,
        ["task service ExecProcess", "sh", "/work"];
    "annotations of a spec", r##"spec: Spec { annotations: Some({"io.x/secret-name": "#", "k": "#"}), linux: None, hostname: "pod-1" }"##, ["spec", "linux", "pod-1"];
    "annotations in JSON", r##"config {"annotations":{"k":"#","io.x/y":"#"},"linux":{"n":1}}"##, ["config", "linux"];
    "annotations as Go prints them", "config {Annotations:map[io.x/y:# k8s.io/z:#] Linux:0xc000}", ["config", "Linux"];
    "argument behind a flag", r##"args: ["app", "--password", "#", "--verbose"]"##, ["args", "app", "verbose"];
    "argument of a flag", r##"args: ["app", "--api-token=#", "--verbose"]"##, ["args", "app", "verbose"];
    "command line", "running app --db-password # --verbose", ["running app", "verbose"];
    "option of a mount", r##"mounts: [Mount { type: "cifs", options: ["rw", "username=a", "password=#", "ro"] }]"##, ["mounts", "cifs", "username"];
    "options of a mount command", "mount -t cifs //host/share /mnt -o rw,password=#,ro", ["mount -t cifs", "/mnt"];
    "secret of a Ceph mount", "mount -t ceph host:/ /mnt -o name=admin,secret=#", ["mount -t ceph", "name=admin"];
    "registry authentication", r##"pulling with {"auths":{"ghcr.io":{"auth":"#"}},"retries":3}"##, ["pulling with", "auths", "retries"];
    "registry credentials", r##"image_pull {"username":"u","password":"#","image":"busybox"}"##, ["image_pull", "busybox"];
    "initdata", r##"sending initdata: "#", digest sha256"##, ["sending", "digest sha256"];
    "initdata as an annotation", r##"io.katacontainers.config.hypervisor.cc_init_data: # ok"##, ["cc_init_data"];
    "policy", "SetPolicy: policy:package agent_policy\ndefault AllowRequests := #", ["SetPolicy"];
    "policy of a request", r##"SetPolicyRequest { policy: "package agent_policy #", n: 1 }"##, ["SetPolicyRequest", "n: 1"];
    "authorization header", r##"request with headers {"authorization": "Basic #", "accept": "application/json"}"##, ["request with headers", "accept"];
    "authorization line", "sent Authorization: Basic # x-request-id: 7", ["sent", "x-request-id"];
    "bearer token", "calling the service with Bearer # over TLS", ["calling the service", "over TLS"];
    "key of the list", "connect host=db password=# timeout=3", ["connect host=db", "timeout=3"];
    "key in JSON", r##"reply {"a":{"token":"#"},"b":[{"client_secret":"#"}],"n":1}"##, ["reply", "\"n\":1"];
    "kernel command line", "launching /usr/bin/qemu-system-x86_64 with: [-name sandbox-1 -append root=/dev/pmem0p1 agent.x=# quiet -smp 1]",
        ["launching", "sandbox-1", "-smp 1"];
    "user in a URL", "pulling https://user:#@registry.example/v2/ again", ["pulling https://", "registry.example/v2/ again"];
    "token in a URL", "GET https://host/v1?token=#&n=1 failed", ["GET https://host/v1"];
    "private key", "loaded -----BEGIN EC PRIVATE KEY-----\n#\n-----END EC PRIVATE KEY----- from disk", ["loaded", "from disk"];
    "web token", "verified eyJhbGciOiJIUzI1NiJ9.#.# of kbs", ["verified", "of kbs"];
    "TOML of a configuration", "get config content [agent.kata]\nadmin_password = \"#\"\nkernel_modules=[]\n", ["get config content", "kernel_modules"];
};

/// Keys of fields whose whole value is secret.
pub(super) const KEYS: &[&str] = &[
    "password",
    "db_password",
    "passwords",
    "passwd",
    "passphrase",
    "pass",
    "db_pass",
    "secret",
    "client-secret",
    "secrets",
    "secretData",
    "secretValue",
    "SecretString",
    "secret_id",
    "token",
    "access_token",
    "apikey",
    "api-key",
    "access_key",
    "secret_key",
    "private_key",
    "encryption_key",
    "signing_key",
    "shared_key",
    "master_key",
    "account_key",
    "credential",
    "credentials",
    "creds",
    "auth",
    "auths",
    "registry_auth",
    "X-Registry-Auth",
    "basic_auth",
    "authorization",
    "proxy-authorization",
    "set-cookie",
    "initdata",
    "cc_init_data",
    "agent_policy",
    "policy",
    "set_policy",
    "annotations",
    "sandbox_annotations",
];

/// Keys of fields whose value is a list of `NAME=value`.
pub(super) const ENTRY_KEYS: &[&str] = &["env", "envs", "environ", "environment"];
