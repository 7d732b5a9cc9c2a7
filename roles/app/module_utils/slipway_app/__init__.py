"""What the modules of the role ``app`` share; imported as ``ansible.module_utils.slipway_app``."""
