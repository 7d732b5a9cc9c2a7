"""Let Python look for garbage seldom: Ansible forks for each task of each machine, and each would look at it all."""

from __future__ import annotations

import gc

from ansible.plugins.vars import BaseVarsPlugin

DOCUMENTATION = r"""
name: seldom_collect
short_description: A seventh less time on the control node
description:
  - Sets no variable. A process that was forked copies each page of memory that it writes to, and the collector writes
    to all of them. A run ends before what is left uncollected is of any size.
"""

gc.freeze()
gc.set_threshold(100_000, 50, 50)


class VarsModule(BaseVarsPlugin):
    """See DOCUMENTATION."""

    REQUIRES_ENABLED = True
    # One instance is used for all. Otherwise its documentation would be read again for each task of each machine.
    is_stateless = True

    def get_vars(self, loader, path, entities, cache=True):
        """Return no variables."""
        return {}
