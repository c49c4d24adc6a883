"""What Grafana reads at start: Athena as a data source, and the folder of dashboards."""

from typing import Any, Final

import yaml

from dashboards.panels import SOURCE_NAME, SOURCE_TYPE, SOURCE_UID
from dashboards.queries import DATABASE

_HEADER: Final = "# Written by `python -m dashboards.build`.\n"
_FOLDER: Final = "/var/lib/grafana/dashboards"


def data_source() -> str:
    """provisioning/datasources: credentials come from the environment or the instance's role, none stand here."""
    athena = {
        "name": SOURCE_NAME,
        "type": SOURCE_TYPE,
        "uid": SOURCE_UID,
        "jsonData": {
            "authType": "default",
            "defaultRegion": "ap-northeast-2",
            "catalog": "AwsDataCatalog",
            "database": DATABASE,
            "workgroup": "primary",
            "outputLocation": "s3://aws-athena-query-results-123456789012-ap-northeast-2/",
        },
    }
    return _written({"apiVersion": 1, "datasources": [athena]})


def folder() -> str:
    """provisioning/dashboards: the JSON files are expected in Grafana's own folder of data."""
    provider = {
        "name": "engage-summaries",
        "folder": "Summaries",
        "type": "file",
        "disableDeletion": False,
        "allowUiUpdates": False,
        "options": {"path": _FOLDER},
    }
    return _written({"apiVersion": 1, "providers": [provider]})


def _written(content: dict[str, Any]) -> str:
    return _HEADER + yaml.safe_dump(content, sort_keys=False)
