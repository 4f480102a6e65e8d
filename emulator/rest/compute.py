"""Clusters API 2.1, as far as a workspace without clusters of its own has anything to say."""

from __future__ import annotations

import os
from importlib.metadata import version

from databricks.sdk.service import compute as sdk

from emulator.records import Json
from emulator.rest.errors import bad
from emulator.rest.http import Call, route

API = "/api/2.0|2.1/clusters"


@route("GET", f"{API}/list", sdk.ClustersAPI.list)
def list_clusters(call: Call) -> Json:
    """There are no all-purpose clusters: everything runs on the local Spark."""
    return {}


@route("GET", f"{API}/get", sdk.ClustersAPI.get)
def get_cluster(call: Call) -> Json:
    raise bad(f"Cluster {call.need('cluster_id')} does not exist")


@route("GET", f"{API}/spark-versions", sdk.ClustersAPI.spark_versions)
def spark_versions(call: Call) -> Json:
    spark = version("pyspark")
    return {"versions": [{"key": f"local-{spark}", "name": f"Local (Apache Spark {spark}, Delta)"}]}


@route("GET", f"{API}/list-node-types", sdk.ClustersAPI.list_node_types)
def node_types(call: Call) -> Json:
    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
    return {
        "node_types": [
            {
                "node_type_id": "local",
                "memory_mb": memory,
                "num_cores": cores,
                "description": "this machine",
                "instance_type_id": "local",
                "category": "Local",
            }
        ]
    }
