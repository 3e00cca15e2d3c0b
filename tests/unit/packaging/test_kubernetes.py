"""The Kubernetes manifests are valid for several versions, and give the edge no more than it needs."""

from __future__ import annotations

import tomllib

import kubernetes_validate
import msgspec
import pytest
import yaml

from harness import ROOT
from sipsieve.config.policy import Policy

FOLDER = ROOT / "packaging" / "container"
MANIFESTS = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))


@pytest.mark.parametrize("version", ["1.28", "1.31", "1.34"])
def test_the_manifests_are_valid(version: str) -> None:
    for manifest in MANIFESTS:
        kubernetes_validate.validate(manifest, version, strict=True)
    wrong = {**MANIFESTS[2], "spec": {**MANIFESTS[2]["spec"], "replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_the_edge_has_no_rights_that_it_does_not_need() -> None:
    [edge] = [manifest for manifest in MANIFESTS if manifest["kind"] == "DaemonSet"]
    pod = edge["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    rights = container["securityContext"]
    assert rights == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert edge["spec"]["selector"]["matchLabels"] == edge["spec"]["template"]["metadata"]["labels"]


def test_the_policy_in_it_can_be_used() -> None:
    [config] = [manifest for manifest in MANIFESTS if manifest["kind"] == "ConfigMap"]
    policy = msgspec.convert(tomllib.loads(config["data"]["sipsieve.toml"]), Policy)
    assert policy.mode == "observe"


def test_the_image_and_the_example_ask_for_as_little() -> None:
    recipe = (FOLDER / "Dockerfile").read_text()
    assert "USER kamailio" in recipe and "HEALTHCHECK" in recipe
    example = yaml.safe_load((FOLDER / "compose.yml").read_text())
    for service in example["services"].values():
        assert (
            service["read_only"]
            and service["cap_drop"] == ["ALL"]
            and service["security_opt"] == ["no-new-privileges:true"]
        )
    assert "ports" not in example["services"]["pbx"] and example["networks"]["inside"]["internal"]
