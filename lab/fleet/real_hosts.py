"""What records of real hosts hold that their documentation does not say: one host in twenty has one of these.

Each is of a kind that was seen in public captures or is documented by the vendor; every value is made here.
"""

from __future__ import annotations

import random
from typing import Any

Record = dict[str, Any]

_SHARE = 0.05
_ZERO = "1970-01-01T00:00:00Z"  # protobuf's zero
_EMPTY_MACS = ("00:00:00:00:00:00", "02:00:00:00:00:00", "20:41:53:59:4E:FF", "00:00:5E:FF:FE:00:53:01")


def as_real_hosts_are(record: Record, vendor: str, seed: int, index: int) -> None:
    """Give the record one oddity of real hosts, or none: the same for the same arguments."""
    dice = random.Random(f"real:{vendor}:{seed}:{index}")
    if dice.random() < _SHARE:
        record.update(dice.choice(ODDITIES[vendor]))


ODDITIES: dict[str, tuple[Record, ...]] = {
    "harfanglab": (
        {"producttype": None, "osproducttype": "Windows Server 2019 Datacenter", "ostype": "windows"},
        {"producttype": None, "osproducttype": "WindowsServer2016Standard", "ostype": None},
        {"ostype": None, "osproducttype": "Windows 10 Pro"},
        {"ostype": "linux", "osproducttype": "Ubuntu 22.04.4 LTS", "distroid": "ubuntu"},  # under a Windows policy
        {"ipaddress": "0.0.0.0"},
        {"ipaddress": "127.0.0.1"},
        {"ipaddress": "192.0.2.7, 192.0.2.8"},
        {"ipmask": "255.255.255.255"},
        {"domainname": "N/A", "producttype": "unknown", "description": "-"},
        {"hostname": "UNKNOWN-7\0\0", "domainname": "none.example.org"},
        {"lastseen": _ZERO},
        {"groups": [{"id": "2b1f", "name": None}, {"id": "2b20", "name": "unknown"}]},
        {"tenant": {"id": "6f1e", "name": "Example Corp"}},
        {"hostname": "srv-7.corp.example.com", "dnsdomainname": "corp.example.com"},
    ),
    "sentinelone": (
        {"locationType": "fallback", "locations": [{"id": "9", "name": "Fallback", "scope": "global"}]},
        {"locationType": "not_applicable"},
        {"osType": None, "osName": "Windows 10 Pro", "osRevision": "19045"},
        {"externalIp": None, "lastIpToMgmt": "192.0.2.40", "networkInterfaces": []},
        {"lastIpToMgmt": "::ffff:192.0.2.41"},
        {"domain": "N/A", "modelName": "To Be Filled By O.E.M.", "siteName": "Not Specified"},
        {"computerName": "UNKNOWN-7\0", "domain": "none.example.org"},
        {"osStartTime": _ZERO},
        *(
            {"networkInterfaces": [{"id": "1", "name": "Ethernet", "physical": mac, "inet": ["127.0.0.1", "192.0.2.9"]}]}
            for mac in _EMPTY_MACS
        ),
        {
            "networkInterfaces": [
                {"id": "1", "name": "TP-Link 5G Wireless USB Adapter", "inet": [], "inet6": ["fe80::1", "2001:db8::5"]},
                {"id": "2", "name": "docker0", "physical": "02:42:ac:11:00:01", "inet": ["192.0.2.2", "192.0.2.3"]},
            ]
        },
    ),
    "eset": (
        {"deviceType": "", "operatingSystem": {"familyId": 1, "displayName": "Microsoft Windows Server 2019 Standard"}},
        {"deviceType": "DEVICE_TYPE_PRINTER", "isMobile": False},
        {"deviceType": "DEVICE_TYPE_ROUTER", "isMobile": False},
        {"deviceType": "DEVICE_TYPE_SMARTPHONE", "isMobile": False},
        {"enrollmentStatus": "DEVICE_ENROLLMENT_STATUS_PENDING"},
        {"enrollmentStatus": "DEVICE_ENROLLMENT_STATUS_FAILED"},
        {"operatingSystem": {"familyId": 2, "displayName": "Zorin OS 17"}},
        {"operatingSystem": {"familyId": 2, "displayName": "Elementary 7.1"}},
        {"operatingSystem": {"familyId": 7, "displayName": "Oracle Solaris 11.4"}},
        {"lastSyncTime": _ZERO},
        {"managementDomain": "N/A", "description": "Default string"},
        {"displayName": "UNKNOWN-7\0\0"},
        {"primaryLocalIpAddress": "192.0.2.7, 192.0.2.8", "publicIpAddress": "::ffff:203.0.113.9"},
        *({"hardwareProfiles": [{"networkAdapters": [{"caption": "wlan0", "macAddress": mac}]}]} for mac in _EMPTY_MACS),
        {
            "hardwareProfiles": [
                {
                    "manufacturer": "System manufacturer",
                    "model": "System Product Name",
                    "networkAdapters": [{"caption": "Intel(R) Wi-Fi 6 AX201", "macAddress": "02:00:5E:00:53:07"}],
                }
            ]
        },
    ),
    "sophos": (
        {"ipv4Addresses": ["169.254.10.20", "192.168.1.5"], "ipv6Addresses": ["fe80::1"]},
        {"ipv4Addresses": ["192.0.2.7"], "ipv6Addresses": ["fe80::1"],
         "macAddresses": ["02:11:22:33:44:55", "0A:00:27:00:00:0B"]},
        {"ipv4Addresses": ["127.0.0.1", "192.0.2.7"], "macAddresses": [*_EMPTY_MACS, "02:42:AC:11:00:01"]},
        {"ipv6Addresses": ["::ffff:203.0.113.9", "::1"]},
        {"encryption": {"volumes": [{"volumeId": "C", "status": "notEncrypted"}, {"volumeId": "D", "status": "encrypting"}]}},
        {"associatedPerson": {"viaLogin": "CORP\\ann"}},
        {"associatedPerson": {"name": "N/A", "viaLogin": "CORP\\bob"}},
        {"os": {"platform": None, "name": "Windows 10 Pro"}},
        {"hostname": "UNKNOWN-7\0\0"},
        {"cloud": {"provider": "unknown"}},
        {"registeredAt": _ZERO},
    ),
}  # fmt: skip
