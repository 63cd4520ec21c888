"""A console that means harm, or is badly broken: the module's process stays small, lives, and says what happened.

With FAULTS=all (`make faults`) each module meets each attack of `tests/hostile.py`; else the modules take turns, by
FAULTS_SEED.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trustme

from lab.kinds import ALERTS
from lab.modules import MODULES, LabModule
from lab.platform.faults import Redirect
from lab.platform.local import LocalPlatform
from lab.platform.server import LocalServer
from lab.process import ModuleProcess
from tests.hostile import WORST_MIB, Attack, Dialect, Streams, attacks
from tests.suites import SUITES
from tests.waiting import until

pytestmark = pytest.mark.slow
WHOLE = os.environ.get("FAULTS") == "all"
SEED = int(os.environ.get("FAULTS_SEED", "7"))
FLEET = 3
WITH_TRIGGERS = [module for module in MODULES.values() if module.changes]
ATTACKS = {attack.name: attack for attack in attacks(WHOLE)}

# A trigger reports every device; the first window of alerts is empty, the attack's own.
ARGUMENTS = {"frequency": 1, "include_existing": True, "hours_ago": 8}

Report = Callable[[str, object], None]


def turns(of: Iterable[str], modules: Iterable[LabModule] = MODULES.values()) -> Any:
    """Each of these with each module, or with one of them in turn."""
    listed = list(modules)
    return [
        pytest.param(module, one, id=f"{module.name}-{one}")
        for number, one in enumerate(of)
        for place, module in enumerate(listed)
        if WHOLE or place == (number + SEED) % len(listed)
    ]


class Scene:
    """A module's process between a simulated console of a small fleet and the local platform."""

    def __init__(
        self,
        module: LabModule,
        console: Any,
        platform: LocalPlatform,
        folder: Path,
        command: str | None = None,
        **environment: str,
    ) -> None:
        self.module, self.console, self.platform = module, console, platform
        self.dialect = Dialect(module)
        self.process = ModuleProcess(
            module,
            platform,
            module.settings_for(console),
            {**getattr(SUITES[module.name], "arguments", {}), **ARGUMENTS},
            folder / "data",
            log=folder / "module.log",
            command=command,
            environment={"CONNECTOR_WAIT_SCALE": "0.02", **environment},
        )

    @property
    def output(self) -> str:
        return self.process.log.read_text(encoding="utf-8")

    @property
    def arrived(self) -> set[str]:
        events = self.module.kind.arrived(self.platform, self.process.uuid)
        return {str(event.get("device", {}).get("uid") or event.get("id")) for event in events}

    @property
    def peak_mib(self) -> float:
        """The most memory the process had so far."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii"))
        assert found
        return int(found[1]) / 1024

    def until_the_fleet_arrived(self, seconds: float = 300) -> None:
        """After any attack the process continues and delivers everything."""
        fleet = {str(self.console.record(one)[self.dialect.uid]) for one in self.console.ids}
        until(lambda: self.process.exit_code is not None or fleet <= self.arrived, seconds)
        assert self.process.exit_code is None, self.output[-2000:]


@pytest.fixture
def scene(module: LabModule, tmp_path: Path) -> Iterator[Scene]:
    with module.simulated(FLEET) as console, LocalPlatform(strict=False) as platform:
        yield Scene(module, console, platform, tmp_path)


@pytest.fixture
def elsewhere() -> Iterator[LocalServer]:
    """Another server on this machine, which must never be called."""
    with LocalServer() as server:
        yield server


def survives(attack: Attack, scene: Scene, record_property: Report) -> None:
    fault = Streams(attack.bodies(scene.dialect), attack.encoding, attack.raw)
    skip = int(scene.module.kind is ALERTS)  # a round of alerts begins with a call for the vendor's clock
    scene.console.fault(fault, match=scene.module.list_route, skip=skip, times=attack.calls)
    with scene.process as process:
        process.wait_for_rounds(1, timeout=300)
        if attack.calls is None:
            scene.console.clear_faults()
        scene.until_the_fleet_arrived()
        peak = scene.peak_mib
        record_property("peak", (scene.module.name, attack.name, round(peak)))
        assert peak < attack.most
        assert process.stop() == 0
    assert attack.arrive <= scene.arrived
    assert re.search(attack.says, scene.output)
    assert "Traceback" not in scene.output
    assert not scene.console.waiting_faults
    assert not [call for call in scene.console.calls if "Cookie" in call.headers], "cookies were kept"


@pytest.mark.parametrize(("module", "attack"), turns(ATTACKS))
def test_an_attack_costs_a_record_or_a_round(
    module: LabModule, attack: str, scene: Scene, record_property: Report
) -> None:
    survives(ATTACKS[attack], scene, record_property)


@pytest.mark.parametrize(
    ("module", "attack"), turns(["long texts on each page", "heavy pages in a row"], WITH_TRIGGERS)
)
def test_a_trigger_that_holds_events_back_stays_small_too(
    module: LabModule, attack: str, scene: Scene, tmp_path: Path, record_property: Report
) -> None:
    trigger = Scene(module, scene.console, scene.platform, tmp_path, command=module.changes_command)
    survives(ATTACKS[attack], trigger, record_property)


@pytest.mark.parametrize(("module", "_turn"), turns(["in turn"]))
def test_ever_new_records_on_pages_without_end_are_delivered_in_little_memory(
    module: LabModule, _turn: str, scene: Scene, record_property: Report
) -> None:
    """They look like a large fleet; but those of a window of time are abandoned once they fill the memory."""
    dialect, numbers = scene.dialect, count()

    def records() -> list[bytes]:
        return [dialect.record(f"new-{next(numbers)}", more=f',"text":"{"x" * 3000}"') for _ in range(1000)]

    endless = (dialect.page(*records(), next_page=dialect.position(number)) for number in count())
    scene.console.fault(Streams(endless), match=scene.module.list_route, times=None)
    with scene.process as process:
        pages = 60 if WHOLE else 15
        until(
            lambda: (
                len(scene.console.calls_to(scene.module.list_route)) > pages
                or (process.health() or {}).get("last_error")
            ),
            300,
        )
        record_property("peak", (module.name, "ever new records", round(scene.peak_mib)))
        assert scene.peak_mib < WORST_MIB
        assert process.stop() == 0
    assert "Traceback" not in scene.output


@pytest.mark.parametrize(("module", "way"), turns(["a next page", "a redirect"]))
def test_the_token_goes_nowhere_else(module: LabModule, way: str, scene: Scene, elsewhere: LocalServer) -> None:
    if way == "a next page":
        page = scene.dialect.page(scene.dialect.record("a"), next_page=f"{elsewhere.url}/next?page=2")
        scene.console.fault(Streams(iter([page])), match=scene.module.list_route)
    else:
        scene.console.fault(Redirect(f"{elsewhere.url}/api"), match=scene.module.list_route)
    with scene.process:
        scene.until_the_fleet_arrived()
    assert not elsewhere.calls
    assert not scene.console.waiting_faults
    assert "Traceback" not in scene.output


@pytest.mark.parametrize("module", [MODULES["Sophos"]], ids=["Sophos"])
def test_a_data_region_on_another_host_gets_no_token(module: LabModule, scene: Scene, elsewhere: LocalServer) -> None:
    scene.console.region = elsewhere.url.replace("127.0.0.1", "localhost")  # other ports of the same host are taken
    with scene.process as process:
        assert "not under the domain" in process.wait_for_rounds(1)["last_error"]
    assert not elsewhere.calls


CERTIFICATES = {
    "right": "",
    "of another name": "its certificate is for another host name",
    "of another authority": "its certificate's authority is not known here",
}


@pytest.mark.parametrize(("module", "certificate"), turns(CERTIFICATES))
def test_a_certificate_that_is_not_the_consoles_gets_no_token(
    module: LabModule, certificate: str, tmp_path: Path
) -> None:
    trusted, unknown = trustme.CA(), trustme.CA()
    signed_by = unknown if certificate == "of another authority" else trusted
    name = "elsewhere.example" if certificate == "of another name" else "127.0.0.1"
    console, bundle = module.simulated(FLEET), tmp_path / "ca.pem"
    trusted.cert_pem.write_to_path(bundle)
    console.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signed_by.issue_cert(name).configure_cert(console.tls)
    with console, LocalPlatform(strict=False) as platform:
        scene = Scene(module, console, platform, tmp_path, REQUESTS_CA_BUNDLE=str(bundle))
        with scene.process as process:
            if certificate == "right":
                scene.until_the_fleet_arrived()
                return
            error = process.wait_for_rounds(1)["last_error"]
    assert "No trusted TLS connection" in error
    assert CERTIFICATES[certificate] in error
    assert not console.calls
