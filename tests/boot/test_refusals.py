"""Bad input to the real command: its exit code, its words, and nothing of it left in use."""

import hashlib
import subprocess
import time
from pathlib import Path

from tests.pods import container
from tests.pods.container import Rights, volume
from tests.pods.run import End
from tests.pods.vm import Pod
from tests.storage.http_server import Hold, Reply, Server

HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def refused(pod: Pod, status: int, *words: str, **settings: str) -> End:
    """Start it where it must not succeed: it says why, and leaves no image, pet or link."""
    end = pod.start(**settings).wait()
    assert end.status == status, end.log
    for each in words:
        assert each in end.log
    assert "Traceback" not in end.log
    left = [path.name for name in ("shared", "pet") for path in (pod.folder / name).iterdir()]
    assert left == []
    assert "br0" not in pod.site.pod.run("ip", "link")
    return end


def test_all_wrong_settings_are_told_at_once(idle: Pod) -> None:
    refused(
        idle,
        78,
        "startvm: error: 4 settings are wrong:\n",
        "\n  - VM_CPUS='many' is not accepted; accepted: ",
        "\n  - ACCEL='warp' is not accepted; accepted: ",
        "\n  - STOP_TIMEOUT='1' is not accepted; accepted: ",
        "\n  - VM_IP='10.0.0.9' with VM_GW='192.168.254.1' is not accepted; accepted: ",
        VM_CPUS="many",
        ACCEL="warp",
        STOP_TIMEOUT="1",
        VM_IP="10.0.0.9",
    )


def test_settings_and_metadata_that_is_no_yaml(idle: Pod) -> None:
    idle.metadata.write_text("name: web\n\tkeys: [\n", encoding="utf-8")
    refused(idle, 78, f"METADATA_FILE='{idle.metadata}': ", "line 2")


def test_user_data_that_was_promised(idle: Pod) -> None:
    refused(idle, 66, "USERDATA_FILE='/no/such/file' is not there", USERDATA_FILE="/no/such/file")


def test_no_such_image(idle: Pod, server: Server) -> None:
    refused(idle, 69, "404", IMG_SOURCE=server.url("/gone.qcow2"))


def test_no_such_server(idle: Pod) -> None:
    source = f"http://{idle.site.client_ip}:9/image.qcow2"
    refused(idle, 69, source, IMG_SOURCE=source)


def test_no_such_file(idle: Pod) -> None:
    refused(idle, 66, "IMG_SOURCE='/no/image.qcow2' cannot", IMG_SOURCE="/no/image.qcow2")


def test_a_page_instead_of_an_image(idle: Pod, server: Server) -> None:
    refused(
        idle,
        65,
        "Please log in",
        "the address of the file itself is needed",
        IMG_SOURCE=server.serve("/image.qcow2", HTML),
    )


def test_an_image_that_ends_too_soon(idle: Pod, server: Server) -> None:
    body = idle.image.read_bytes()
    source = server.serve("/image.qcow2", Reply(body, cut=len(body) // 2))
    refused(idle, 69, source, IMG_SOURCE=source)


def test_a_wrong_checksum(idle: Pod, server: Server) -> None:
    body = idle.image.read_bytes()
    digest, other = hashlib.sha256(body).hexdigest(), hashlib.sha256(HTML).hexdigest()
    source = server.serve("/image.qcow2", body)
    refused(idle, 65, digest, other, IMG_SOURCE=source, IMG_CHECKSUM=f"sha256:{other}")


def test_an_image_that_would_read_other_files(idle: Pod, tmp_path: Path) -> None:
    image = tmp_path / "greedy.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", image],
        check=True,
    )
    refused(idle, 65, "it has a backing file, '/etc/passwd'", IMG_SOURCE=str(image))


def test_a_shared_volume_that_is_full(idle: Pod) -> None:
    with volume(idle.folder / "shared", "8M"):
        refused(idle, 74, str(idle.folder / "shared"), "8.0 MiB")


def test_a_pets_volume_that_is_full(idle: Pod) -> None:
    with volume(idle.folder / "pet", "128k"):
        end = idle.start().wait()
        assert end.status == 74, end.log
        assert "the pet's volume has to grow" in end.log
        assert not idle.disk.exists()
        assert not idle.disk.with_suffix(".json").exists()


def test_volumes_that_are_not_there(idle: Pod) -> None:
    for name, status in (("PET_DIR", 66), ("SHARED_DIR", 74)):
        refused(idle, status, f"{name}='/not/mounted' is not there", **{name: "/not/mounted"})


def test_no_way_out_of_the_pod(idle: Pod) -> None:
    idle.site.pod.ip("route del default")
    refused(idle, 70, "the pod has no IPv4 default route")


def test_addresses_that_the_pod_uses(idle: Pod) -> None:
    idle.site.pod.ip("route add 192.168.254.0/24 via 10.66.0.1")
    refused(
        idle,
        78,
        "192.168.254.0/30 overlaps 192.168.254.0/24 on ens5",
        "(hint: VM_GW=172.31.254.1 and VM_IP=172.31.254.2 are free here)",
    )


def test_the_capability_that_it_needs_is_named(idle: Pod) -> None:
    idle.rights = Rights(container.DEFAULT_CAPABILITIES)
    refused(idle, 77, "the container needs the capability NET_ADMIN")


def test_without_a_way_to_the_tun_device(idle: Pod) -> None:
    """Runtimes make no node for it; Berth does, for which it needs another capability."""
    idle.rights = Rights([each for each in container.CAPABILITIES if each != "mknod"])
    refused(
        idle,
        77,
        "there is no /dev/net/tun, and it cannot be made (Operation not permitted)",
        "the container needs the capability MKNOD, or /dev/net/tun from the node",
    )


def test_kvm_where_there_is_none(idle: Pod) -> None:
    refused(idle, 77, "ACCEL=kvm, but there is no /dev/kvm (hint: ", "ACCEL=auto", ACCEL="kvm")


def test_an_order_to_stop_while_the_image_arrives(idle: Pod, server: Server) -> None:
    hold = Hold()
    source = server.serve("/image.qcow2", Reply(idle.image.read_bytes(), hold=hold))
    run = idle.start(IMG_SOURCE=source)
    assert hold.reached.wait(60), run.log.tail
    begun = time.monotonic()
    end = run.stop()
    hold.go.set()
    assert (end.status, time.monotonic() - begun < 5) == (0, True), end.log
    assert list((idle.folder / "shared").iterdir()) == []
