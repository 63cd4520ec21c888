"""An invented fleet: the same hosts from the same seed, as each vendor's records.

`hosts` describes a machine (name, system, interfaces, people, site, times); one module a vendor renders a host into
that vendor's JSON, with the oddities that vendor is known for. A host is made from (seed, index) alone, so a fleet of
any size costs no memory. Addresses and names are from the ranges kept for documentation.
"""

from lab.fleet.hosts import ENDPOINTS, WITH_MOBILES, Group, Host, Interface, Person, Platform, host, hosts

__all__ = ["ENDPOINTS", "WITH_MOBILES", "Group", "Host", "Interface", "Person", "Platform", "host", "hosts"]
