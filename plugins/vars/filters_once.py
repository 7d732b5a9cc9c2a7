"""Load filters and tests once: Ansible forks for each task of each machine, and each fork would load them all anew."""

from __future__ import annotations

from ansible.plugins.loader import filter_loader, test_loader
from ansible.plugins.vars import BaseVarsPlugin

DOCUMENTATION = r"""
name: filters_once
short_description: A tenth less time on the control node
description:
  - Sets no variable. Connections and the like are loaded by Ansible itself before it forks; the plugins of Jinja are
    not, although nearly every task needs one. A role that brings filters of its own makes the loader begin anew, so
    that it is seen to before each task, in no time where all is loaded.
"""


class VarsModule(BaseVarsPlugin):
    """See DOCUMENTATION."""

    REQUIRES_ENABLED = True
    # One instance is used for all. Otherwise its documentation would be read again for each task of each machine.
    is_stateless = True

    def get_vars(self, loader, path, entities, cache=True):
        """Return no variables."""
        for plugins in (filter_loader, test_loader):
            next(plugins.all(), None)
        return {}
