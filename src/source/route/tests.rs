use super::*;

fn found(path: &str) -> InputRoute {
    let path = Path::new(path);
    InputRoute::of_found(path, path, PathClass::of(path), &Trust::default())
}

fn named(path: &str) -> InputRoute {
    InputRoute::of_named(&[Path::new(path)], &Trust::default())
}

const UID: &str = "5b6d1f0e-8a39-4d6c-9a56-0d5a7b6b0c11";

#[test]
fn the_output_of_containers_is_known_wherever_it_lies() {
    for path in [
        "var/log/pods/ns_app_1/c/0.log",
        "var/log/pods/ns_kata-pod_1/c/0.log.20240506-070814.gz",
        "bundle/host/var/log/pods/ns_app_1/c/1.log",
        "/pods/ns_app_1/c/0.log",
        "var/log/pods/5b6d/c/0.log",
        "var/log/pods/default_kata-monitor-x_1/kata-monitor/0.log",
        "var/log/containers/app_ns_c-0123456789.log",
        "var/log/containers/app.log",
        "var/lib/docker/containers/0123/0123-json.log.1",
        "containers/0123/0123-json.log",
        "quay-io/namespaces/ns/pods/app/c/c/logs/current.log",
        "quay-io/namespaces/ns/pods/app/c/c/logs/previous.insecure.log",
        "var/lib/kubelet/pods/1/volumes/kubernetes.io~empty-dir/x/var/log/messages",
        // A trusted path inside a tenant's volume.
        "var/lib/kubelet/pods/1/volumes/x/var/log/pods/kube-system_kata-deploy_1/c/0.log",
        "var/log/pods/ns_app_1/c/agent/containerd/containerd.log",
        "run/kata-containers/shared/sandboxes/1/mounts/2/rootfs/var/log/messages",
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/1/rootfs/var/log/kata/x.log",
        "var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/var/log/journal.export",
    ] {
        for route in [found(path), named(path)] {
            assert_eq!(route.by_path(), Route::Container, "{path}");
            assert!(!route.needs_first_line(), "{path}");
        }
    }
    for path in ["dump/ns/kata-pod/logs.txt", "pods/kata.log", &format!("ns_kata-pod_{UID}/c/0.log")] {
        assert_eq!(found(path).by_path(), Route::Container, "{path}");
        assert_eq!(named(path).by_path(), Route::Named, "{path}");
        assert!(!PathClass::of(Path::new(path)).is_kata, "{path}");
    }
}

#[test]
fn trusted_pods_are_known_by_namespace_and_name() {
    for path in [
        "var/log/pods/kube-system_kata-monitor-x7k2p_1/kata-monitor/0.log",
        "bundle/var/log/pods/kata-system_kata-deploy-1_1/c/0.log.gz",
        "var/log/containers/kata-deploy-x_kube-system_kube-kata-0123.log",
        "must-gather/namespaces/kube-system/pods/kata-monitor-x/m/m/logs/current.log",
    ] {
        assert_eq!(found(path).by_path(), Route::TrustedPod, "{path}");
        assert_eq!(named(path).by_path(), Route::TrustedPod, "{path}");
    }
    let route = |paths: [&str; 2]| InputRoute::of_named(&paths.map(Path::new), &Trust::default()).by_path();
    let link = "/var/log/containers/kata-monitor-x_kube-system_m-01.log";
    assert_eq!(route([link, "/var/lib/docker/containers/01/01-json.log"]), Route::TrustedPod);
    assert_eq!(route([link, "/var/log/pods/ns_kata-monitor-x_1/m/0.log"]), Route::Container);
    assert_eq!(route(["0.log", "/var/log/pods/ns_app_1/c/0.log"]), Route::Container);
}

#[test]
fn managers_and_logs_of_the_host_are_known() {
    for (path, in_archive, on_command_line) in [
        ("var/lib/rancher/k3s/agent/containerd/containerd.log", Route::Manager, Route::Manager),
        ("agent/containerd/containerd-2024-05-06T07-08-14.123.log.gz", Route::Manager, Route::Manager),
        ("var/log/crio.log.1", Route::Manager, Route::Manager),
        ("k0scontroller.log", Route::Manager, Route::Manager),
        ("rke2-server.log", Route::Manager, Route::Manager),
        ("var/log/messages-20240506.xz", Route::Named, Route::Named),
        ("var/log/syslog.1", Route::Named, Route::Named),
        ("var/log/daemon.log", Route::Named, Route::Named),
        ("sosreport-a/sos_commands/logs/journalctl_--no-pager", Route::Named, Route::Named),
        ("containerd.service.txt", Route::Named, Route::Named),
        ("var/log/kata/agent.1", Route::Named, Route::Named),
        ("app/data.ndjson", Route::Unlisted, Route::Named),
        ("srv/app.log", Route::Unlisted, Route::Named),
        ("log.json", Route::Unlisted, Route::Named),
    ] {
        assert_eq!(found(path).by_path(), in_archive, "{path}");
        assert_eq!(named(path).by_path(), on_command_line, "{path}");
    }
}

#[test]
fn the_operator_vouches_or_does_not_trust() {
    let route = |path: &str, vouch, untrusted| {
        let (trust, path) = (Trust { vouch, untrusted, ..Trust::default() }, Path::new(path));
        let found = InputRoute::of_found(path, path, PathClass::of(path), &trust);
        (InputRoute::of_named(&[path], &trust).by_path(), found.by_path())
    };
    let (container, monitor) = ("var/log/pods/ns_app_1/c/0.log", "var/log/pods/kube-system_kata-monitor_1/c/0.log");
    for untrusted in [container, monitor] {
        assert_eq!(route(untrusted, false, true), (Route::Container, Route::Container));
        assert_eq!(route(untrusted, true, true), (Route::Container, Route::Container));
    }
    for path in [container, "srv/app.log", "var/log/messages"] {
        assert_eq!(route(path, true, false), (Route::TrustedPod, Route::TrustedPod), "{path}");
    }
    assert_eq!(route("containerd.log", true, false), (Route::Manager, Route::Manager));
    for path in ["containerd.log", "var/log/messages", "srv/app.log", "journal.export"] {
        assert_eq!(route(path, false, true), (Route::Unlisted, Route::Unlisted), "{path}");
    }
    let untrusted = InputRoute::of_named(&[], &Trust { untrusted: true, ..Trust::default() });
    assert_eq!(untrusted.by_first_line(b"{\"__CURSOR\":\"s\"}", false, InputFormat::Auto), Route::Unlisted.into());
}

#[test]
fn the_first_line_says_in_which_form_entries_are() {
    let entry = "{\"__CURSOR\":\"s=1\",\"MESSAGE\":\"x\"}\n";
    let of = |route: InputRoute, head: &str, format| {
        route.by_head(head.as_bytes(), false, format).map(|decided| decided.route)
    };
    for (head, expected) in [
        (entry, Some(Route::Journal)),
        ("\u{feff}\n \r\n\u{1e}{\"MESSAGE\":\"x\"}\n", Some(Route::Journal)),
        ("__CURSOR=s=1\n__REALTIME", Some(Route::Journal)),
        ("INFO[0000] starting\n", Some(Route::Terminal)),
        ("\u{1b}[33mWARN\u{1b}[0m[2024-05-06T07:08:14Z] x\n", Some(Route::Terminal)),
        ("INFO[kata] starting\n", Some(Route::Named)),
        ("Mar  5 05:01:54 n kata[1]: x\n", Some(Route::Syslog)),
        ("2024-05-06T07:08:14.3Z stderr F x spec: Spec { y: z }\n", Some(Route::Named)),
        ("level=info\n", Some(Route::Named)),
        ("INFO[0000] starting", None),
        ("\n\n", None),
        ("", None),
    ] {
        assert_eq!(of(named("a.log"), head, InputFormat::Auto), expected, "{head}");
        assert_eq!(of(found("var/log/messages"), head, InputFormat::Auto), expected, "{head}");
    }
    assert_eq!(named("a.log").by_head(b"INFO[0000] x", true, InputFormat::Auto), Some(Route::Terminal.into()));
    let long = format!("{{\"MESSAGE\":\"{}", "x".repeat(MAX_FIRST_LINE));
    assert_eq!(of(named("a.log"), &long, InputFormat::Auto), Some(Route::Journal));
    assert_eq!(of(named("a.log"), entry, InputFormat::Json), Some(Route::Named), "the user says that it is no journal");
    for path in ["containerd.log", "var/log/pods/ns_app_1/c/0.log", "srv/app.log"] {
        let route = found(path);
        assert_eq!(of(route, entry, InputFormat::Auto), Some(route.by_path()), "{path}");
    }
    assert_eq!(of(found("node.export"), "__CURSOR=s=1\n", InputFormat::Auto), Some(Route::Journal));
    assert_eq!(of(found("node.ndjson.zst"), entry, InputFormat::Auto), Some(Route::Journal));
    assert_eq!(of(found("node.ndjson"), "INFO[0000] x\n", InputFormat::Auto), Some(Route::Unlisted));
}

#[test]
fn only_lines_of_plain_named_inputs_may_be_records() {
    let record = "{\"_HOSTNAME\":\"n\",\"kata_component\":\"shimv2\"}\n";
    let has_records =
        |route: InputRoute, head: &str, format| route.by_head(head.as_bytes(), true, format).unwrap().has_records;
    for (head, expected) in [
        (record, true),
        ("{\n  \"kata_component\": \"shimv2\"\n}\n", true),
        ("level=info\n", true),
        ("$ katalog\n\nlevel=info\n", true),
        ("{\"__CURSOR\":\"s=1\",\"MESSAGE\":\"x\"}\n", true),
        ("__CURSOR=s=1\n", false),
        ("INFO[0000] starting\n", false),
        ("Mar  5 05:01:54 n kata[1]: x\n", false),
    ] {
        assert_eq!(has_records(named("a.log"), head, InputFormat::Auto), expected, "{head}");
        assert_eq!(may_begin_records(head.lines().last().unwrap().as_bytes(), InputFormat::Auto), expected, "{head}");
        for path in
            ["var/log/messages", "srv/app.log", "node.ndjson", "containerd.log", "var/log/pods/ns_app_1/c/0.log"]
        {
            assert!(!has_records(found(path), head, InputFormat::Auto), "{path}");
        }
        for path in ["containerd.log", "/var/log/pods/ns_app_1/c/0.log", "/var/lib/docker/containers/01/01-json.log"] {
            assert!(!has_records(named(path), head, InputFormat::Auto), "{path}");
        }
    }
    assert!(has_records(named("a.log"), "Mar  5 05:01:54 n kata[1]: x\n", InputFormat::Kata), "the user says so");
    let trust = |vouch, untrusted| InputRoute::of_named(&[], &Trust { vouch, untrusted, ..Trust::default() });
    assert!(has_records(trust(true, false), record, InputFormat::Auto));
    assert!(!has_records(trust(false, true), record, InputFormat::Auto));
}
