//! The shapes that Kata's programs, container managers and their libraries print.

/// The secret of the samples.
pub(super) const USE: &str = "hunter2canary";

/// A text in which `#` stands for the secret.
pub(super) struct Sample(&'static str);

impl Sample {
    /// Returns the text with secrets of several forms, and with the marker.
    pub(super) fn texts(&self) -> Vec<(String, String)> {
        let expected = self.0.replace('#', super::MARKER);
        vec![(self.0.replace('#', USE), expected)]
    }
}

pub(super) const SECRET: &[Sample] = &[
    // Bare values.
    Sample("auth=# policy=# x"),
    // Environments.
    Sample(
        r##"receive createcontainer, spec: Spec { version: "1.0.2", process: Some(Process { args: ["sh", "-c", "id"], env: Some(["PATH=#", "DB_PASSWORD=#"]), cwd: "/" }) }"##,
    ),
    Sample(
        r##"OCI Spec Spec { process: Some(Process { env: ["A=#", "B=#"], cwd: "/" }), annotations: {"k": "#"} } within CreateContainerRequest."##,
    ),
    Sample(r##"env: RepeatedField { vec: ["A=#", "B=#"], len: 2 }, cwd: "/""##),
    Sample(
        r##"{"ociVersion":"1.0.2","process":{"args":["sh"],"env":["A=#","B=#"],"cwd":"/"},"mounts":[{"destination":"/proc"}]}"##,
    ),
    Sample(r##"{"container_id":"abc","OCI":{"Process":{"Args":["sh"],"Env":["A=#"],"Cwd":"/"}}}"##),
    Sample(r##"{"containerId":"abc","process":{"terminal":true,"env": ["A=#", "B=#"]}}"##),
    Sample(r##"&Process{Terminal:false,User:User{},Args:[sh -c id],Env:[A=# B=#],Cwd:/,}"##),
    Sample(r##"process {Args:[sh] Env:[A=#] Cwd:/}"##),
    Sample(r##"OCI:<Process:<Args:"sh" Env:"A=#" Env:"B=#" Cwd:"/" > >"##),
    Sample(r##"env:"A=#" env:"C=#" cwd:"/""##),
    Sample(r##""envs":[{"key":"A","value":"#"},{"key":"B","value":"#"}]"##),
    Sample(r##""env":[{"name":"A","value":"#"}]"##),
    Sample(r##"env: {"A": "#", "B": "#"}"##),
    Sample(r##"Env:[]string{"A=#", "B=#"}, Cwd"##),
    Sample(r##"docker run --env A=# -e B=# --env=C=# busybox"##),
    Sample(r##"args: ["run", "-e", "A=#", "--env", "B=#", "busybox"]"##),
    // Annotations.
    Sample(r##"annotations: Some({"io.katacontainers.pkg.oci.bundle_path": "#", "k": "#"}), linux: None"##),
    Sample(r##""annotations":{"k":"#","k2":"#"},"linux":{}"##),
    Sample(r##"Annotations:map[io.kubernetes.cri.container-type:# k8s.io/x:#],Linux:nil"##),
    Sample(r##"Annotations:map[string]string{k: #},Linux:nil"##),
    Sample(r##"annotations:{key:"k" value:"#"} annotations:{key:"k2" value:"#"} linux:{}"##),
    Sample(r##"annotations:<key:"k" value:"#" > linux:<>"##),
    Sample(r##"map_annotations: {"k": "#"}"##),
    // Arguments.
    Sample("mysql --password # --user u"),
    Sample("mysql --password=# --user u"),
    Sample("tool -password # -v"),
    Sample(r##"args: ["tool", "--token", "#", "--registry-auth=#", "--access-key", "#", "-v"]"##),
    Sample("Args:[tool --client-secret # -v]"),
    Sample(r##"Command { std: "tool" "--api-key" "#" "-v" }"##),
    // Mounts.
    Sample(r##"options: ["username=u,password=#,vers=3.0", "ro", "pass=#"]"##),
    Sample("mount -o name=admin,secret=#,noatime //srv /mnt"),
    Sample("Options:[rw username=u,password=# noexec]"),
    Sample("cifs passwd=#,credentials=# /mnt"),
    // Registries and HTTP.
    Sample(r##"{"auths":{"quay.io":{"auth":"#","email":"#"}},"credsStore":"x"}"##),
    Sample(r##"{"username":"u","auth":"#","identitytoken":"#","registrytoken":"#"}"##),
    Sample(r##"X-Registry-Auth: #"##),
    Sample("pull from https://user:#@registry.example:5000/image failed"),
    Sample("redis://:#@cache:6379/0"),
    Sample("got Authorization: # next=1"),
    Sample(r##"headers map[Accept:[*/*] Authorization:[#] X:[y]]"##),
    Sample(r##""Authorization":["#"],"Accept":["x"]"##),
    Sample(r##"args: ["curl", "-H", "Authorization: #", "-v"]"##),
    Sample("sent Bearer # to kbs"),
    Sample("Cookies Set-Cookie: #"),
    // Confidential guests.
    Sample(r##"initdata: Some("#"), x: 1"##),
    Sample(r##"cc_init_data = "#""##),
    Sample(r##"{"io.katacontainers.config.hypervisor.cc_init_data":"#","x":"y"}"##),
    Sample(r##"SetPolicyRequest { policy: "#", special_fields: 0 }"##),
    Sample(r##"{"policy":"#","x":1}"##),
    Sample("SetPolicy: #"),
    Sample("with agent_policy=# x"),
    // Key material.
    Sample("-----BEGIN EC PRIVATE KEY-----#-----END EC PRIVATE KEY----- then"),
    // Keys.
    Sample("login with password=# user=u"),
    Sample("password: # was refused"),
    Sample("API_KEY=# client_secret=# kbs_auth_private_key=#"),
    Sample(r##"Config { token: Some("#"), url: "x" }"##),
    Sample(r##"Config { token: Secret(Some("#")) }"##),
    Sample("password = '#' # a comment".split_at(14).0),
    Sample(r##"{"secret":{"a":"#","b":["#"]},"x":"y"}"##),
    Sample(r##"first\npassword: "#"\nlast"##),
    Sample(r##"tokens ["access_token=#", "x"]"##),
    Sample(r##"first\npass: "#"\nlast"##),
    // Quotes in prose, which seem to open a string.
    Sample(r##"a 5" disk, "env":["A=#"], "x":1"##),
    Sample(r##"a 5" disk, env: ["A=#", "B=#"], x: 1"##),
    Sample(r##"a 5" disk, token: "#", x: 1"##),
    // QEMU.
    Sample("[-append #]"),
    Sample(
        "launching /opt/kata/bin/qemu-system-x86_64 with: [-name sandbox-1 -kernel /vmlinux -append # -pidfile /run/pid -smp 1]",
    ),
    Sample("launching qemu with: [-kernel /vmlinux -append #]"),
    Sample(
        r##"qemu cmd: Command { std: "/opt/kata/bin/qemu-system-x86_64" "-name" "sandbox-1" "-append" "#" "-smp" "1" }"##,
    ),
    Sample("Kernel command line: tsc=reliable agent.log=debug agent.token=# console=hvc0"),
    Sample(r##"kernel_params = "agent.log=debug agent.api_key=# quiet""##),
];

/// Texts without secrets.
pub(super) const CLEAN: &[&str] = &[
    "INFO[0000] Created container 2c01 name=/runtime.v1.RuntimeService/CreateContainer",
    "",
    "release sandbox",
    "2020-02-21T10:31:27.810781647Z",
    "containerd-shim-v2",
    "675be985368abc6f3a87cc896794091a83f604e69677651d6542c6fe82c10d30",
    "/run/vc/vm/2d258dfe262e244013827bc81591b3b7b273cba1615f7a58100cf5a4d1bd5d45/console.sock",
    r#"level=info msg="VM started" arch=amd64 name=kata-runtime pid=782 source=virtcontainers subsystem=sandbox"#,
    "rpc error: code = Unavailable desc = transport is closing",
    "bufio.Scanner: token too long",
    "unexpected token: no value in line 3",
    "invalid token in expression",
    "failed to read secret: no such file or directory",
    "/run/secrets/kubernetes.io/serviceaccount: not mounted",
    "mounting /run/secrets/a=b: not a directory",
    "source: /var/run/secrets/x, destination: /run/secrets/x",
    "key=value key: other",
    "pwd=/root cwd: /",
    "env: None, annotations: None, password: None }",
    r#""env":[],"annotations":{},"token":null,"password":"""#,
    "Env:[] Annotations:map[] done",
    "token= x=1",
    "dial unix /run/kata.sock: connect: connection refused",
    "try to connect to vsock://-1:1024 and http://10.0.0.1:8080",
    "http://registry.local:5000/v2/ and https://[::1]:8080",
    "git clone ssh://git@example.com/a/b",
    "docker://busybox:latest and more",
    "[    0.395399] brd: module loaded",
    "[    0.000000] Command line: tsc=reliable no_timer_check rcupdate.rcu_expedited=1 console=hvc0",
    r#"{"msg":"child exited unexpectedly","level":"INFO","ts":"2022-11-23T05:58:42.186228768+00:00","pid":"204"}"#,
    "create_container is blocked by policy: not allowed",
    r#"{"flag":"--token","next":"x"}"#,
    r#"{"execute":"qmp_capabilities"}"#,
    r#"Mount { destination: "/proc", type_: "proc", source: "proc", options: ["nosuid", "noexec"] }"#,
    r#"args: ["sh", "-c", "sleep 1"], rootfs: "/run/kata""#,
    "cloud-hypervisor: 15.157418s: <vmm> INFO:vmm/src/api/mod.rs:1369 -- API request event: VmmPing",
    "thread 'main' panicked at src/main.rs:1:1",
    r#"Www-Authenticate: Bearer realm="https://auth.docker.io/token""#,
    "the Bearer token is missing",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "Kata Containers: JSON and KVM",
    "use kata_types::secret::Token;",
    "flag --token is required and -e or --env must be there",
    r"C:\Users\x: a \ b",
    "sandbox-a721002f --no-reboot -nodefaults",
];
