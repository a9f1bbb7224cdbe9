"""What comes of values, as whole texts and in what must never be otherwise."""

import pytest

from tests.chart.helm import KEY, NEWEST, OLDEST, Helm, defaults
from tests.chart.scenarios import SCENARIOS
from tests.conftest import Golden


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str, golden: Golden) -> None:
    golden(f"chart/{name}.yaml", NEWEST.template(SCENARIOS[name]).text)


@pytest.mark.parametrize("name", SCENARIOS)
def test_oldest_helm_renders_the_same(name: str) -> None:
    assert OLDEST.template(SCENARIOS[name]).objects == NEWEST.template(SCENARIOS[name]).objects


def test_no_line_is_empty_or_ends_in_spaces() -> None:
    # Helm itself ends a document with one, and in the program of `helm test` they mean something.
    documents = [each.rstrip("\n") for each in defaults().text.split("\n---\n")]
    lines = [line for text in documents if "kind: Pod\n" not in text for line in text.split("\n")]
    assert [line for line in lines if line != line.rstrip() or not line] == []


def test_nothing_is_privileged_by_default() -> None:
    pod, container = defaults().pod(), defaults().container()
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "privileged" not in container["securityContext"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert not [each for each in pod["volumes"] if "hostPath" in each]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


def test_restricted_has_no_right_at_all() -> None:
    rendered = NEWEST.template({"sshKey": KEY, "securityLevel": "restricted"})
    assert rendered.container()["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    context = rendered.pod()["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 107)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert rendered.environment()["NETWORK"] == "user"


def test_user_network_needs_no_network_admin() -> None:
    rendered = NEWEST.template({"sshKey": KEY, "network": {"mode": "user"}})
    added = rendered.container()["securityContext"]["capabilities"]["add"]
    assert not {"NET_ADMIN", "MKNOD"} & set(added)
    assert "SETUID" in added


def test_ports_of_the_service_come_in_but_not_the_screen_s() -> None:
    values = {
        "sshKey": KEY,
        "securityLevel": "restricted",
        "service": {"ports": {"vnc": 5900, "dns": {"port": 53, "protocol": "UDP"}, "ssh": 22}},
    }
    forwarded = NEWEST.template(values).environment()["HOSTFWD"]
    assert forwarded == "tcp::22-:22,udp::53-:53"


def test_ports_are_the_vm_s_wherever_the_pod_has_them() -> None:
    values = {
        "sshKey": KEY,
        "network": {"mode": "user", "hostfwd": ["hostfwd=tcp:10.0.0.5:2222-:22", "udp::54-:53"]},
        "service": {"ports": {"ssh": 22, "dns": {"port": 53, "protocol": "UDP"}, "vnc": 5900}},
        "networkPolicy": {"enabled": True},
    }
    rendered = NEWEST.template(values)
    ports = rendered.one("Service", "web-ports")["spec"]["ports"]
    assert {each["name"]: each["targetPort"] for each in ports} == {
        "dns": 54,
        "ssh": 2222,
        "vnc": 5900,
    }
    (rule,) = rendered.one("NetworkPolicy")["spec"]["ingress"]
    assert {each["port"] for each in rule["ports"]} == {54, 2222, 5900}
    assert "web-0.web:2222:SSH-" in rendered.one("Pod")["spec"]["containers"][0]["args"]


def test_stop_timeout_is_the_grace_period() -> None:
    rendered = NEWEST.template({"sshKey": KEY, "stopTimeout": 77})
    assert rendered.pod()["terminationGracePeriodSeconds"] == 77
    assert rendered.environment()["STOP_TIMEOUT"] == "77"


@pytest.mark.parametrize(
    "change",
    [
        {"sshKey": f"{KEY}\n{KEY}"},
        {"userdata": "#cloud-config\n"},
        {"metadata": {"hostname": "other"}},
        {"vms": {"web": {"userdata": "#cloud-config\n"}}},
    ],
    ids=str,
)
def test_what_the_guest_learns_restarts_it(change: dict[str, object]) -> None:
    def checksum(values: dict[str, object]) -> str:
        template = NEWEST.template(values).one("StatefulSet")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/guest"])

    same = {"sshKey": KEY, "replicas": 2}
    assert checksum(same) == checksum({"sshKey": KEY}) != checksum({**same, **change})


def test_scaling_changes_nothing_of_the_pods() -> None:
    # Or it would restart the VMs that are there.
    one, three = ({"sshKey": KEY, "replicas": count} for count in (1, 3))
    assert NEWEST.template(one).pod() == NEWEST.template(three).pod()


@pytest.mark.parametrize("change", [{"labels": {"a": "b"}}, {"annotations": {"a": "b"}}], ids=str)
def test_claims_and_selector_stay_when_labels_change(change: dict[str, object]) -> None:
    # Kubernetes refuses an upgrade that changes them.
    before, after = (
        NEWEST.template({"sshKey": KEY, **more}).one("StatefulSet")["spec"] for more in ({}, change)
    )
    for fixed in ("volumeClaimTemplates", "selector", "serviceName", "podManagementPolicy"):
        assert before[fixed] == after[fixed]
    assert "0.1.0" not in str(before["volumeClaimTemplates"]) + str(before["selector"])


@pytest.mark.parametrize(
    ("class_name", "rendered"), [("", None), ("-", ""), ("fast", "fast")], ids=str
)
def test_class_name(class_name: str, rendered: str | None) -> None:
    made = NEWEST.template({"sshKey": KEY, "className": class_name})
    claims = [
        made.one("PersistentVolumeClaim")["spec"],
        made.one("StatefulSet")["spec"]["volumeClaimTemplates"][0]["spec"],
    ]
    for claim in claims:
        assert claim.get("storageClassName") == rendered
        assert ("storageClassName" in claim) == (rendered is not None)


def test_off_without_quotes_is_off() -> None:
    # YAML 1.1, which Helm reads, takes it for false.
    for off in (False, "off"):
        assert NEWEST.template({"sshKey": KEY, "kvm": off}).environment()["ACCEL"] == "tcg"


def test_image_of_a_vm_inherits_no_checksum() -> None:
    values = {
        "sshKey": KEY,
        "image": {"source": "http://a.example/a.img", "checksum": "http://a.example/SHA256SUMS"},
        "vms": {"same": {}, "other": {"image": {"source": "http://b.example/b.img"}}},
    }
    rendered = NEWEST.template(values)
    assert rendered.environment("web-same")["IMG_CHECKSUM"] == "http://a.example/SHA256SUMS"
    assert rendered.environment("web-other")["IMG_SOURCE"] == "http://b.example/b.img"
    assert "IMG_CHECKSUM" not in rendered.environment("web-other")


def test_image_of_a_vm_inherits_no_password() -> None:
    # It would be sent to whatever server that image comes from.
    own = {"image": {"source": "http://b.example/b.img"}}
    image = {
        "source": "http://a.example/a.img",
        "credentialsSecret": "mine",
        "caConfigMap": "authorities",
    }
    rendered = NEWEST.template({"sshKey": KEY, "image": image, "vms": {"same": {}, "other": own}})
    same, other = (rendered.environment(f"web-{name}") for name in ("same", "other"))
    assert same["IMG_HEADERS_FILE"] == "/run/secrets/image/headers"
    assert same["IMG_NETRC_FILE"] == "/run/secrets/image/netrc"
    assert not {"IMG_HEADERS_FILE", "IMG_NETRC_FILE"} & other.keys()
    assert same["REQUESTS_CA_BUNDLE"] == other["REQUESTS_CA_BUNDLE"] == "/run/authorities/ca.crt"
    assert "mine" not in str(rendered.one("StatefulSet", "web-other"))


def test_image_of_a_vm_is_verified_as_all_are() -> None:
    own = {"source": "http://b.example/b.img"}
    vms = {"same": {}, "other": {"image": own}, "quick": {"image": {**own, "verify": "quick"}}}
    rendered = NEWEST.template({"sshKey": KEY, "image": {"verify": "full"}, "vms": vms})
    for name in ("same", "other"):
        assert rendered.environment(f"web-{name}")["IMG_VERIFY"] == "full"
    assert "IMG_VERIFY" not in rendered.environment("web-quick")


def test_password_of_an_image_is_for_the_launcher_alone() -> None:
    image = {"source": "http://a.example/a.img", "credentialsSecret": "mine"}
    rendered = NEWEST.template({"sshKey": KEY, "image": image})
    (volume,) = (each for each in rendered.pod()["volumes"] if each["name"] == "image-credentials")
    assert volume["secret"] == {"secretName": "mine", "defaultMode": 0o400}
    mounts = rendered.container()["volumeMounts"]
    (mount,) = (each for each in mounts if each["name"] == "image-credentials")
    assert mount["readOnly"] is True


def test_false_and_zero_of_a_vm_lie_over_what_is_above() -> None:
    values = {
        "sshKey": KEY,
        "replicas": 2,
        "qemuArgs": ["-s"],
        "vms": {"pet": {"replicas": 0, "qemuArgs": [], "vnc": {"enabled": False}}},
    }
    rendered = NEWEST.template(values)
    assert rendered.one("StatefulSet")["spec"]["replicas"] == 0
    assert "args" not in rendered.container()
    assert rendered.environment()["NO_VNC"] == "yes"


def test_userdata_arrives_byte_for_byte() -> None:
    userdata = '\n  #!/bin/sh\r\n\techo "{{ .Values }}" \\n <é>  \n\n\n'
    rendered = NEWEST.template({"userdata": userdata})
    assert rendered.one("ConfigMap")["data"]["userdata"] == userdata


def test_a_release_name_is_no_problem_for_another() -> None:
    first, second = (NEWEST.template({"sshKey": KEY}, release=name) for name in ("web", "web2"))
    names = [
        {(each["kind"], each["metadata"]["name"]) for each in rendered.objects}
        for rendered in (first, second)
    ]
    assert names[0].isdisjoint(names[1])
    selectors = [each.one("StatefulSet")["spec"]["selector"] for each in (first, second)]
    assert selectors[0] != selectors[1]


@pytest.mark.parametrize("helm", [NEWEST, OLDEST], ids=lambda helm: helm.name)
@pytest.mark.parametrize(
    ("release", "override"), [("on", ""), ("no", ""), ("123", "null"), ("1e3", "yes")]
)
def test_names_stay_text(helm: Helm, release: str, override: str) -> None:
    # What YAML would otherwise take for a truth value, nothing or a number.
    name = override or release
    rendered = helm.template(
        {
            "sshKey": KEY,
            "fullnameOverride": override,
            "service": {"ports": {"no": {"port": 22, "appProtocol": "off"}}},
            "extraDisks": {"data": {"claimName": "123", "file": "1.5"}},
            "userdataFrom": {"secret": "1"},
            "metadataFrom": {"configMap": "2"},
            "priorityClassName": "3",
        },
        release=release,
    )
    strings = {"name", "serviceName", "serviceAccountName", "claimName", "secretName", "subPath"}
    strings |= {"appProtocol", "priorityClassName", "app.kubernetes.io/instance", "berth/vm"}

    def check(node: object) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                assert key not in strings or isinstance(value, str), (key, value)
        for each in node.values() if isinstance(node, dict) else node:  # type: ignore[attr-defined]
            if isinstance(each, dict | list):
                check(each)

    check(rendered.objects)
    pod = rendered.pod(name)
    assert pod["serviceAccountName"] == name
    assert pod["priorityClassName"] == "3"
    vms = rendered.one("StatefulSet", name)
    assert vms["spec"]["serviceName"] == name
    labels = vms["spec"]["selector"]["matchLabels"]
    assert labels["app.kubernetes.io/instance"] == release
    assert labels["berth/vm"] == name
    (port,) = rendered.one("Service", f"{name}-ports")["spec"]["ports"]
    assert (port["name"], port["appProtocol"]) == ("no", "off")


def test_longest_names() -> None:
    rendered = NEWEST.template({"sshKey": KEY}, release="w" * 52)
    for each in rendered.objects:
        for value in each["metadata"]["labels"].values():
            assert len(value) <= 63
    # Kubernetes adds `-` and ten characters to the name in a label of the pod.
    assert len(rendered.one("StatefulSet")["metadata"]["name"]) + 11 <= 63
