"""An Orthanc of our own: private ports, private storage, the DICOMweb plug-in; ended with the test."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.dicom_network_house import needs, wait_until
from tests.ports import free_port

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass
class Orthanc:
    """One running PACS."""

    dicom_port: int
    http: str

    @property
    def dicomweb(self) -> str:
        return f"{self.http}/dicom-web"

    def get(self, path: str) -> Any:
        return requests.get(self.http + path, timeout=30).json()

    def post(self, path: str, content: Any) -> Any:
        body = content if isinstance(content, bytes) else json.dumps(content)
        answer = requests.post(self.http + path, data=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def instances(self) -> set[str]:
        """SOP Instance UIDs of everything it has."""
        found = self.get("/instances?expand")
        return {item["MainDicomTags"]["SOPInstanceUID"] for item in found}

    def has_webserver(self) -> bool:
        try:
            return requests.get(f"{self.http}/system", timeout=2).ok
        except requests.RequestException:
            return False


@contextmanager
def open_orthanc(folder: Path, modalities: dict[str, Any], **ports: int) -> Iterator[Orthanc]:
    """Start an Orthanc that knows ``modalities``; skips where it is not installed."""
    needs("Orthanc", "orthanc orthanc-dicomweb")
    folder.mkdir(parents=True, exist_ok=True)
    dicom_port = ports.get("dicom_port") or free_port()
    http_port = ports.get("http_port") or free_port()
    settings = {
        "Name": "radsuite test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "ORTHANC",
        "DicomPort": dicom_port,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": True,
        "HttpPort": http_port,
        "HttpServerEnabled": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomModalities": modalities,
        "Plugins": [str(PLUGIN)] if PLUGIN.exists() else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": {}},
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(configuration)], stdout=log, stderr=log)
    orthanc = Orthanc(dicom_port, f"http://127.0.0.1:{http_port}")
    try:
        wait_until(orthanc.has_webserver, 60)
        yield orthanc
    finally:
        process.terminate()
        process.wait(30)
