"""The strategy of the plays that prepare a machine and look at it: mitogen's, a third of the time for a task.

What a role does is tried by Ansible's own strategy, in converge, idempotence and the checks.
"""

from ansible.plugins.loader import strategy_loader
from ansible_mitogen.strategy import StrategyMixin

Linear = strategy_loader.get("linear", class_only=True)


class StrategyModule(StrategyMixin, Linear):
    """Ansible's own order of tasks and machines, by mitogen's connections."""
