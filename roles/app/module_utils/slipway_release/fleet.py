"""The processes of a release: how many of each, and their start after the switch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import clock, host, units
from .host import Failure, active
from .release import scale, stems

if TYPE_CHECKING:
    from .engine import Operation


def set_scale(operation: Operation) -> list[str]:
    """Keep how many of each process the machine shall run; return those of which there will be more or fewer."""
    wanted, changed = operation.request.get("scale", {}), []
    directory = operation.root / "scale"
    directory.mkdir(mode=0o755, exist_ok=True)
    known = {file.name: scale(operation.app, file.name) for file in directory.iterdir() if file.suffix != ".part"}
    operation.scaled_before = known
    for process in sorted(known.keys() | wanted.keys()):
        if wanted.get(process) != known.get(process):
            if process in wanted:
                host.write(directory / process, f"{wanted[process]}\n", 0o644)
            else:
                (directory / process).unlink()
            changed.append(process)
    return changed


def adjust_processes(operation: Operation, scaled: list[str]) -> bool:
    """Run more or fewer of the live release's other processes; False, for nothing else is to be done."""
    if scaled:
        operation.tell(changed=True)
        start(operation)
    return False


def start(operation: Operation) -> None:
    """Stop the old release's workers and start the new one's, each when the one before it is up."""
    wanted = {
        instance: process
        for process in operation.release.manifest["processes"]
        for instance in stems(process, scale(operation.app, process))
    }
    there = {f"{operation.app}-{instance}@{operation.release.name}.service" for instance in wanted}
    web = f"{operation.app}-web@"
    gone = [unit for unit in host.instances(operation.app) if not unit.startswith(web) and unit not in there]
    if gone:
        host.disable(*gone)
        host.stop(*gone)
    for instance, process in wanted.items():
        operation.step(f"start {instance}")
        unit = units.write(operation, process, instance, "exec")
        host.enable(unit)
        begun = time.time()
        if active(unit):
            continue
        if not host.start(unit):
            raise Failure(f"start {instance}", f"{unit} did not start", operation.release.log(unit, begun))
        time.sleep(1)
        if not active(unit):
            raise Failure(f"start {instance}", f"{unit} ended at once", operation.release.log(unit, begun))

    clock.schedule(operation, operation.release)
