from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from ipclab.brokers import KINDS, engine, kinds, services
from ipclab.brokers.kinds.redis.trial_settings import SETTINGS_FILE

LAB = ("lab", "lab-faults")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The project without the services of the lab itself."""
    content: dict[str, Any] = yaml.safe_load(engine.compose_file().read_text(encoding="utf-8"))
    content["services"] = {k: v for k, v in content["services"].items() if k not in LAB}
    return content


@pytest.fixture(scope="module")
def lab() -> dict[str, Any]:
    """The services of the lab itself, by name."""
    content = yaml.safe_load(engine.compose_file().read_text(encoding="utf-8"))
    return {name: content["services"][name] for name in LAB}


def test_the_file_of_the_checkout_is_used_where_there_is_a_checkout() -> None:
    assert engine.compose_file() == Path(__file__).resolve().parents[3] / "compose.yaml"


def test_there_is_a_service_for_every_broker_and_no_other(project: dict[str, Any]) -> None:
    assert project["name"] == "ipclab"
    assert set(project["services"]) == {kind for kind in kinds.OWN if kinds.get(kind).service is not None}


def test_only_the_usual_brokers_start_unless_others_are_named(project: dict[str, Any]) -> None:
    """`docker compose up` starts what has no profile."""
    profiles = {kind: service.get("profiles", []) for kind, service in project["services"].items()}
    assert {kind for kind, found in profiles.items() if not found} == set(KINDS)
    assert all(found in ([], ["more"]) for found in profiles.values())


def test_images_are_pinned_to_the_promised_versions(project: dict[str, Any]) -> None:
    images = {kind: service["image"] for kind, service in project["services"].items()}
    assert re.fullmatch(r"redis:8\.\d+", images["redis"])
    assert re.fullmatch(r"rabbitmq:4\.\d+-management", images["rabbitmq"])
    assert re.fullmatch(r"memcached:1\.6", images["memcached"])


def test_every_port_is_on_the_loopback_address_and_can_be_moved(project: dict[str, Any]) -> None:
    for service in project["services"].values():
        for port in service["ports"]:
            assert re.fullmatch(r"127\.0\.0\.1:\$\{IPCLAB_[A-Z_]+_PORT:-\d+\}:\d+", port)


def test_every_service_is_checked_for_health_without_the_tools_of_its_server(
    project: dict[str, Any],
) -> None:
    for service in project["services"].values():
        test = " ".join(service["healthcheck"]["test"])
        assert "/dev/tcp/127.0.0.1/" in test or "/proc/net/tcp" in test  # the latter without bash
        assert "rabbitmq-diagnostics" not in test
        assert "redis-cli" not in test


def test_what_is_written_goes_to_volumes_of_the_project_only(project: dict[str, Any]) -> None:
    for service in project["services"].values():
        for mount in service.get("volumes", []):
            assert mount.split(":")[0] in project["volumes"]


def test_every_container_and_volume_can_be_told_from_those_of_another_project(
    project: dict[str, Any],
) -> None:
    for thing in (*project["services"].values(), *project["volumes"].values()):
        assert thing["labels"] == [f"{engine.OURS}=1"]


def test_what_a_trial_sets_redis_to_is_read_last_from_its_data_folder(project: dict[str, Any]) -> None:
    words = shlex.split(project["services"]["redis"]["command"])
    assert words[-2:] == ["--include", f"/data/{SETTINGS_FILE.replace('.conf', '*.conf')}"]


def test_the_lab_starts_only_by_name_after_the_usual_brokers(lab: dict[str, Any]) -> None:
    for service in lab.values():
        assert service["profiles"]
        assert set(service["depends_on"]) == set(KINDS)


def test_only_the_lab_for_faults_has_the_socket_of_the_engine(lab: dict[str, Any]) -> None:
    mounted = {name: [m for m in service["volumes"] if "docker.sock" in m] for name, service in lab.items()}
    assert mounted["lab"] == []
    assert mounted["lab-faults"] == [f"{services.SOCKET}:{services.SOCKET}"]


def test_the_lab_has_limits_and_no_capability_but_to_become_the_caller(lab: dict[str, Any]) -> None:
    for service in lab.values():
        assert {"shm_size", "pids_limit", "cpus", "ulimits"} <= set(service)
        assert service["cap_drop"] == ["ALL"]
        assert not service.get("privileged")


def test_the_lab_knows_the_password_of_every_broker(project: dict[str, Any], lab: dict[str, Any]) -> None:
    given = set(lab["lab"]["environment"])
    for kind in project["services"]:
        service = kinds.get(kind).service
        assert service is not None
        assert service.password_variable in given
    assert services.VARIABLE in given
