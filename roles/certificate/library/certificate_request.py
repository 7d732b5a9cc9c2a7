"""Start the unit that gets a site's certificate, and warn where it could not be had."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_request
short_description: Start the unit that gets a site's certificate, and warn where it could not be had
description:
  - The unit is the one that the timer starts. A run that waits for an authority which is away, or for a name that
    nobody resolves yet, shall not fail for it - the site is served meanwhile, and the timer tries again.
options:
  unit:
    description: The systemd service that gets the certificate.
    type: str
    required: true
  outcome:
    description: The file that the service leaves its outcome in.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is started.
"""

EXAMPLES = r"""
- name: Get the certificate
  certificate_request:
    unit: shop-certificate.service
    outcome: /var/lib/slipway/certificate/shop/outcome.json
"""

RETURN = r"""
issued:
  description: Whether the right certificate is served.
  type: bool
  returned: when not in check mode
"""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={"unit": {"type": "str", "required": True}, "outcome": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    unit, file = module.params["unit"], Path(module.params["outcome"])
    if module.check_mode:
        module.exit_json(changed=False)
    before = file.stat().st_mtime_ns if file.exists() else 0
    status, _, error = module.run_command(["systemctl", "start", unit])
    if not file.exists() or file.stat().st_mtime_ns == before:
        # It said nothing: not an authority's matter, but a mistake on the machine.
        module.fail_json(msg=f"{unit} did not get as far as asking (journalctl -u {unit} says more): {error.strip()}")
    outcome = json.loads(file.read_text())
    if status or not outcome["served"]:
        module.warn(outcome["message"])
    module.exit_json(changed=outcome["changed"], issued=outcome["served"])


if __name__ == "__main__":
    main()
