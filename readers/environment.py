"""Where a run happens: ids of container, scheduler and notebook server, as they stand in its environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from data_platform.redact import redact_text

_VARIABLES = (
    # schedulers
    *("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_CLUSTER_NAME", "LSB_JOBID", "LSB_JOBINDEX"),
    *("PBS_JOBID", "PBS_ARRAY_INDEX", "SGE_TASK_ID", "FLUX_JOB_ID", "OAR_JOB_ID", "AWS_BATCH_JOB_ID", "RAY_JOB_ID"),
    # workflow managers
    *("AIRFLOW_CTX_DAG_ID", "AIRFLOW_CTX_TASK_ID", "AIRFLOW_CTX_DAG_RUN_ID", "AIRFLOW_CTX_TRY_NUMBER"),
    *("PREFECT__FLOW_RUN_ID", "PREFECT__FLOW_RUN_NAME", "DAGSTER_RUN_ID", "NXF_TASK_WORKDIR", "MLFLOW_RUN_ID"),
    # build servers
    *("GITHUB_RUN_ID", "GITHUB_WORKFLOW", "CI_PIPELINE_ID", "CI_JOB_ID", "BUILD_TAG"),
    # notebook servers and hosted workbenches
    *("JUPYTERHUB_USER", "JUPYTERHUB_SERVER_NAME", "COLAB_RELEASE_TAG", "DATABRICKS_RUNTIME_VERSION", "DOMINO_RUN_ID"),
    *("KAGGLE_KERNEL_RUN_TYPE", "SAGEMAKER_JOB_NAME", "CODESPACE_NAME", "RS_SERVER_URL"),
    # containers
    *("KUBERNETES_SERVICE_HOST", "POD_NAME", "POD_NAMESPACE", "SINGULARITY_NAME", "APPTAINER_NAME"),
)
_CONTAINER_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_NAMESPACE = Path("var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LONGEST = 160


def environment_facts(variables: Mapping[str, str], root: Path = Path("/")) -> dict[str, str]:
    """Return the facts that are there, under the names of their variables in lower case.

    ``container`` is the id of the container, or ``docker`` or ``podman`` where only that is
    known; ``kubernetes_pod`` and ``kubernetes_namespace`` say where in a cluster.

    Parameters
    ----------
    variables
        The process's environment. Only listed names are taken: others may hold secrets.
    root
        Where the file system begins.
    """
    facts = {name.lower(): variables[name] for name in _VARIABLES if variables.get(name)}
    facts |= _container(root)
    if facts.pop("kubernetes_service_host", None):
        facts |= dict(_pod(variables, facts, root))
    if "JOB_ID" in variables and "SGE_ROOT" in variables:  # too common a name to be trusted alone
        facts["sge_job_id"] = variables["JOB_ID"]
    return {name: redact_text(value)[:_LONGEST] for name, value in facts.items()}


def _pod(variables: Mapping[str, str], facts: dict[str, str], root: Path) -> Iterator[tuple[str, str]]:
    yield "kubernetes_pod", facts.pop("pod_name", "") or variables.get("HOSTNAME", "") or "unknown"
    if namespace := facts.pop("pod_namespace", "") or _text(root / _NAMESPACE).strip():
        yield "kubernetes_namespace", namespace


def _container(root: Path) -> dict[str, str]:
    """Return the container's id: with cgroups v1 it is in their path, with v2 in the mounts that Docker makes."""
    for file, marks in (("cgroup", ""), ("mountinfo", "/containers/")):
        for line in _text(root / "proc/self" / file).splitlines():
            if marks in line and (found := _CONTAINER_ID.search(line)):
                return {"container": found[0]}
    for mark, engine in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (root / mark).exists():
            return {"container": engine}
    return {}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
