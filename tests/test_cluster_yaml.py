"""cluster.yaml is what Ray's launcher accepts, keeps what its comments promise, and names files that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
import yaml

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def cluster() -> dict:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())


def test_it_fits_the_schema_that_ray_ships(cluster, schema):
    jsonschema.validate(cluster, schema)


def test_the_schema_would_refuse_a_misspelt_key(cluster, schema):
    with pytest.raises(jsonschema.ValidationError, match="max_wrokers"):
        jsonschema.validate({**cluster, "max_wrokers": 3}, schema)


def test_ray_itself_takes_it_with_its_defaults(cluster):
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(cluster)
    validate_config(config)
    assert config["head_setup_commands"][: len(cluster["setup_commands"])] == cluster["setup_commands"]


def test_no_trial_lands_on_the_head_and_it_is_never_spot(cluster):
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]


def test_gpu_workers_are_spot_and_all_workers_but_one_come_and_go(cluster):
    types = cluster["available_node_types"]
    assert types["gpu-worker"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    workers = {name: kind for name, kind in types.items() if name != cluster["head_node_type"]}
    assert {name: kind["min_workers"] for name, kind in workers.items()} == {"cpu-worker": 1, "gpu-worker": 0}
    assert sum(kind["max_workers"] for kind in workers.values()) <= cluster["max_workers"]


def test_only_ssh_is_open(cluster):
    assert "IpPermissions" not in cluster["provider"]["security_group"], "a rule was added to the launcher's own"
    started = " ".join(cluster["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in started
    assert "0.0.0.0" not in started


def test_every_node_installs_the_project_from_the_checkout(cluster):
    (mounted, local), *others = cluster["file_mounts"].items()
    assert not others
    assert (ROOT / local / "pyproject.toml").is_file()
    gpu = cluster["available_node_types"]["gpu-worker"]["worker_setup_commands"]
    for commands in (cluster["setup_commands"], gpu):
        assert any(re.search(rf"pip install .*{mounted}\b", command) for command in commands), commands


def test_head_and_workers_keep_the_same_python(cluster):
    images = {kind["node_config"]["ImageId"] for kind in cluster["available_node_types"].values()}
    assert all("24.04" in image for image in images), images


def test_the_head_is_let_read_public_parameters_and_no_others(cluster):
    """The advice granted all of SSM's reading: every parameter of the account, secrets among them."""
    comment = (ROOT / "cluster.yaml").read_text().partition("cluster_name:")[0].replace("\n#", "\n")
    (said,) = re.findall(r"--policy-document \\\s*'(.*?)'", comment, re.DOTALL)
    (statement,) = json.loads(said)["Statement"]
    assert statement == {
        "Effect": "Allow", "Action": "ssm:GetParameters", "Resource": "arn:aws:ssm:*::parameter/aws/service/*",
    }  # fmt: skip
    readable = statement["Resource"].partition("::parameter")[2].rstrip("*")
    images = [kind["node_config"]["ImageId"] for kind in cluster["available_node_types"].values()]
    assert all(image.startswith(f"resolve:ssm:{readable}") for image in images)
    assert "policy/Amazon" not in comment
