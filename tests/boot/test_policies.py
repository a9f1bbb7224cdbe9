"""What becomes of the container when the guest ends by itself."""

from tests.pods.run import Run
from tests.pods.vm import Pod

SAW_IT_TWICE = r"(?s)ssh ready.*ssh ready"
PANIC = "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger"


def tell(pod: Pod, run: Run, command: str) -> None:
    """Give the guest an order, and time to say goodbye before it obeys."""
    run.console.wait_for("^tiny login ready")
    pod.ssh(f"(sleep 1; {command}) >/dev/null 2>&1 &")


def stays_off(pod: Pod, run: Run, why: str) -> None:
    """The container is up and not ready, with the VM off."""
    run.log.wait_for("the VM stays off; restart the container")
    assert run.is_alive
    status = pod.berth("status", check=False)
    assert (status.returncode, status.stdout.startswith(f"off: {why}")) == (1, True)


def test_a_reboot_stays_inside_and_a_power_off_ends_it(idle: Pod) -> None:
    run = idle.boot()
    qemu = run.qemu
    tell(idle, run, "reboot")
    run.console.wait_for(SAW_IT_TWICE)
    idle.wait_for_ssh(run)
    assert run.qemu == qemu
    assert run.log.text.count("the guest reboots\n") == 1
    tell(idle, run, "poweroff")
    end = run.wait()
    assert end.status == 0
    assert end.log.endswith("startvm: the guest powered itself off; ON_POWEROFF=restart\n")


def test_a_power_off_may_leave_the_container_up(idle: Pod) -> None:
    run = idle.boot(ON_POWEROFF="stay")
    tell(idle, run, "poweroff")
    stays_off(idle, run, "the guest powered itself off")
    assert run.stop().status == 0


def test_a_panic_ends_it(idle: Pod) -> None:
    run = idle.boot()
    tell(idle, run, PANIC)
    end = run.wait()
    assert end.status == 70
    assert end.log.endswith("the guest panicked; ON_CRASH=restart\n")
    assert "Kernel panic - not syncing" in run.console.text


def test_a_panic_may_leave_the_container_up(idle: Pod) -> None:
    run = idle.boot(ON_CRASH="stay")
    tell(idle, run, PANIC)
    stays_off(idle, run, "the guest panicked")
    run.stop()
